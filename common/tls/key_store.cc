#include "common/tls/key_store.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

namespace mox::tls {
namespace {

using proto::SignatureScheme;

std::string key_id(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    int size = i2d_PUBKEY(key, &der);
    if (size <= 0) return {};
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(der, static_cast<size_t>(size), digest);
    OPENSSL_free(der);
    return {reinterpret_cast<const char*>(digest), sizeof digest};
}

/// Whether a digest of this many bytes may be signed: SHA-256, -384, -512, and SHA-1 and MD5+SHA-1 never.
bool is_digest_size(size_t size) {
    return size == 32 || size == 48 || size == 64;
}

bool input_fits(EVP_PKEY* key, const proto::SignTls& request) {
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    auto key_bytes = static_cast<size_t>(EVP_PKEY_get_size(key));
    switch (request.scheme) {
        case SignatureScheme::ecdsa_digest:
            return !rsa && is_digest_size(request.input.size());
        case SignatureScheme::rsa_raw_padded:
            // RFC 8017 9.1.1: a PSS block ends in 0xbc; nothing else is signed raw.
            return rsa && request.input.size() == key_bytes && request.input.back() == '\xbc';
        case SignatureScheme::rsa_pkcs1_digest:
            // A DigestInfo: 19 bytes before the digest.
            return rsa && request.input.size() > 19 && is_digest_size(request.input.size() - 19);
        case SignatureScheme::kEnd:
            break;
    }
    return false;
}

}  // namespace

void KeyDeleter::operator()(EVP_PKEY* key) const {
    EVP_PKEY_free(key);
}

Result<ipc::Done> KeyStore::add(const std::string& pem) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    auto no_passphrase = [](char*, int, int, void*) { return -1; };
    std::unique_ptr<EVP_PKEY, KeyDeleter> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) return permanent(ErrorCode::bad_request, "no private key in PEM, or it needs a passphrase");
    int type = EVP_PKEY_get_base_id(key.get());
    if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
        return permanent(ErrorCode::bad_request, "the private key is neither RSA nor ECDSA");
    if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(key.get()) < 2048)
        return permanent(ErrorCode::bad_request, "the RSA key has fewer than 2048 bits");
    std::string id = key_id(key.get());
    keys_[id] = std::move(key);
    return ipc::Done{};
}

Result<proto::Signature> KeyStore::sign(const proto::SignTls& request) const {
    auto found = keys_.find(request.public_key_sha256);
    if (found == keys_.end()) return permanent(ErrorCode::not_found, "no such key");
    EVP_PKEY* key = found->second.get();
    if (!input_fits(key, request)) return permanent(ErrorCode::bad_request, "the input does not fit the key");
    std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key, nullptr),
                                                                        EVP_PKEY_CTX_free);
    bool ok = context && EVP_PKEY_sign_init(context.get()) > 0;
    if (ok && request.scheme != SignatureScheme::ecdsa_digest)
        ok = EVP_PKEY_CTX_set_rsa_padding(context.get(), request.scheme == SignatureScheme::rsa_raw_padded
                                                             ? RSA_NO_PADDING
                                                             : RSA_PKCS1_PADDING) > 0;
    std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
    size_t size = signature.size();
    const auto* input = reinterpret_cast<const unsigned char*>(request.input.data());
    ok = ok && EVP_PKEY_sign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, input,
                             request.input.size()) > 0;
    if (!ok) return temporary(ErrorCode::internal, "signing failed");
    signature.resize(size);
    return proto::Signature{std::move(signature)};
}

}  // namespace mox::tls
