#include "common/tls/public_key.h"

#include <fmt/format.h>
#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

namespace mox::tls {
namespace {

constexpr int kMinRsaBits = 2048;

using BioHandle = std::unique_ptr<BIO, decltype(&BIO_free)>;
using CertificateHandle = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyHandle = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string fingerprint_of(unsigned char* der, int size) {
    if (size <= 0) return {};
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(der, static_cast<size_t>(size), digest);
    OPENSSL_free(der);
    return {reinterpret_cast<const char*>(digest), sizeof digest};
}

std::string curve_of(EVP_PKEY* key) {
    char name[64] = "";
    EVP_PKEY_get_group_name(key, name, sizeof name, nullptr);
    // RFC 8446 4.2.3: those that have a signature scheme
    switch (OBJ_txt2nid(name)) {
        case NID_X9_62_prime256v1:
            return "ecdsa-p256";
        case NID_secp384r1:
            return "ecdsa-p384";
        case NID_secp521r1:
            return "ecdsa-p521";
        default:
            return {};
    }
}

/// Empty for a kind that is not taken.
std::string type_of(EVP_PKEY* key) {
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA: {
            int bits = EVP_PKEY_get_bits(key);
            return bits < kMinRsaBits ? std::string() : fmt::format("rsa-{}", bits);
        }
        case EVP_PKEY_EC:
            return curve_of(key);
        case EVP_PKEY_ED25519:
            return "ed25519";
        case EVP_PKEY_ED448:
            return "ed448";
        default:
            return {};
    }
}

BioHandle reader(const std::string& pem) {
    return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
}

int no_passphrase(char*, int, int, void*) {
    return -1;
}

}  // namespace

std::string key_fingerprint(const X509* certificate) {
    unsigned char* der = nullptr;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    return fingerprint_of(der, size);
}

Result<PublicKey> read_public_key(const std::string& pem) {
    PublicKey out;
    KeyHandle key(nullptr, EVP_PKEY_free);
    CertificateHandle certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, no_passphrase, nullptr), X509_free);
    if (certificate) {
        key.reset(X509_get_pubkey(certificate.get()));
        out.fingerprint = key_fingerprint(certificate.get());
    } else if (key.reset(PEM_read_bio_PUBKEY(reader(pem).get(), nullptr, no_passphrase, nullptr)); key) {
        unsigned char* der = nullptr;
        int size = i2d_PUBKEY(key.get(), &der);
        out.fingerprint = fingerprint_of(der, size);
    }
    ERR_clear_error();
    if (!key || out.fingerprint.empty())
        return permanent(ErrorCode::bad_request, "neither a certificate nor a public key in PEM");
    out.type = type_of(key.get());
    if (out.type.empty())
        return permanent(ErrorCode::bad_request,
                         "the key is not one of RSA of at least 2048 bits, ECDSA on P-256, P-384 or P-521, Ed25519 or "
                         "Ed448");
    return out;
}

}  // namespace mox::tls
