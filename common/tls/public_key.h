// What a TLS client's public key is known by: the SHA-256 of its SubjectPublicKeyInfo, the same from its certificate in
// a handshake, from that in a file, and from the bare key.
#pragma once

#include <string>

#include "common/error.h"

struct x509_st;

namespace mox::tls {

struct PublicKey {
    std::string fingerprint;  // 32 bytes
    std::string type;         // "ecdsa-p256", "rsa-2048", "ed25519"
};

/// The key of the first certificate in a PEM, or the first public key when there is none. Error bad_request when
/// neither is in it, or the key is of no kind that clients of TLS 1.2 and 1.3 have, or too short.
Result<PublicKey> read_public_key(const std::string& pem);

/// Empty when it has none.
std::string key_fingerprint(const x509_st* certificate);

}  // namespace mox::tls
