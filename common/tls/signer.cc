// The calls used here are deprecated in OpenSSL 3 in favour of providers, which libtls does not reach.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "common/tls/signer.h"

#include <cstring>
#include <memory>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "common/ipc/blocking_call.h"
#include "common/log/log.h"

namespace mox::tls {
namespace {

constexpr auto kSignLimit = std::chrono::seconds(3);

Signer* the_signer = nullptr;

std::string sha256(const unsigned char* data, size_t size) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(data, size, digest);
    return {reinterpret_cast<const char*>(digest), sizeof digest};
}

template <class Key, class ToDer>
std::string key_id(const Key* key, ToDer to_der) {
    unsigned char* der = nullptr;
    int size = to_der(key, &der);
    if (size <= 0) return {};
    std::string id = sha256(der, static_cast<size_t>(size));
    OPENSSL_free(der);
    return id;
}

std::optional<std::string> ask(std::string id, proto::SignatureScheme scheme, const unsigned char* input, int size) {
    if (the_signer == nullptr || id.empty() || size < 0) return std::nullopt;
    return the_signer->sign(
        {std::move(id), scheme, std::string(reinterpret_cast<const char*>(input), static_cast<size_t>(size))});
}

// EC_KEY_METHOD's sign: a DER signature of the digest.
int ec_sign(int, const unsigned char* digest, int size, unsigned char* out, unsigned int* out_size, const BIGNUM*,
            const BIGNUM*, EC_KEY* key) {
    auto signature = ask(key_id(key, i2d_EC_PUBKEY), proto::SignatureScheme::ecdsa_digest, digest, size);
    if (!signature || signature->size() > static_cast<size_t>(ECDSA_size(key))) return 0;
    std::memcpy(out, signature->data(), signature->size());
    *out_size = static_cast<unsigned int>(signature->size());
    return 1;
}

// EC_KEY_METHOD's sign_sig, for callers that want the pair of numbers.
ECDSA_SIG* ec_sign_sig(const unsigned char* digest, int size, const BIGNUM*, const BIGNUM*, EC_KEY* key) {
    auto signature = ask(key_id(key, i2d_EC_PUBKEY), proto::SignatureScheme::ecdsa_digest, digest, size);
    if (!signature) return nullptr;
    const auto* p = reinterpret_cast<const unsigned char*>(signature->data());
    return d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(signature->size()));
}

// RSA_METHOD's priv_enc: TLS 1.3 (PSS) comes padded already, TLS 1.2 wants PKCS#1 padding.
int rsa_private(int size, const unsigned char* from, unsigned char* to, RSA* key, int padding) {
    proto::SignatureScheme scheme;
    if (padding == RSA_NO_PADDING)
        scheme = proto::SignatureScheme::rsa_raw_padded;
    else if (padding == RSA_PKCS1_PADDING)
        scheme = proto::SignatureScheme::rsa_pkcs1_digest;
    else
        return -1;
    auto signature = ask(key_id(key, i2d_RSA_PUBKEY), scheme, from, size);
    if (!signature || signature->size() != static_cast<size_t>(RSA_size(key))) return -1;
    std::memcpy(to, signature->data(), signature->size());
    return static_cast<int>(signature->size());
}

}  // namespace

std::optional<std::string> RemoteSigner::sign(proto::SignTls request) {
    if (!channel_) {
        log::warn("TLS handshake without a channel to authd");
        lost_();
        return std::nullopt;
    }
    auto reply = ipc::blocking_call(channel_.get(), std::move(request), kSignLimit);
    if (reply) return std::move(reply->bytes);
    log::warn("authd did not sign a TLS handshake", {{"error", reply.error().text}});
    // Out of step or closed.
    if (reply.error().code == ErrorCode::channel_lost) {
        channel_.reset();
        lost_();
    }
    return std::nullopt;
}

void use_signer(Signer& signer) {
    the_signer = &signer;
    static EC_KEY_METHOD* ec = [] {
        EC_KEY_METHOD* method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
        EC_KEY_METHOD_set_sign(method, ec_sign, nullptr, ec_sign_sig);
        return method;
    }();
    static RSA_METHOD* rsa = [] {
        RSA_METHOD* method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
        RSA_meth_set_priv_enc(method, rsa_private);
        return method;
    }();
    EC_KEY_set_default_method(ec);
    RSA_set_default_method(rsa);
}

std::string public_key_id_of_certificate(std::string_view pem) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    std::unique_ptr<X509, decltype(&X509_free)> cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                     X509_free);
    if (!cert) return {};
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(X509_get_pubkey(cert.get()), EVP_PKEY_free);
    if (!key) return {};
    return key_id(key.get(), i2d_PUBKEY);
}

}  // namespace mox::tls
