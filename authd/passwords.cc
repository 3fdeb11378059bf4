#include "authd/passwords.h"

#include <sodium.h>

#include "authd/scram.h"
#include "common/log/log.h"

namespace mox::authd {
namespace {

constexpr unsigned long long kPasses = 2;
constexpr size_t kMemory = 19u << 20;  // bytes

std::string random_bytes(size_t count) {
    std::string bytes(count, '\0');
    randombytes_buf(bytes.data(), bytes.size());
    return bytes;
}

// Each hash has a salt of its own: one key tells nothing of the other.
proto::ScramSecrets make_secrets(proto::ScramHash hash, std::string_view password) {
    proto::ScramSecrets secrets{random_bytes(16), kScramIterations, {}, {}};
    ScramKeys keys = derive_scram_keys(hash, password, secrets.salt, secrets.iterations);
    secrets.stored_key.value = keys.stored_key;
    secrets.server_key.value = keys.server_key;
    return secrets;
}

}  // namespace

proto::Credentials make_credentials(std::string_view password) {
    proto::Credentials c;
    char hash[crypto_pwhash_STRBYTES];
    if (crypto_pwhash_str_alg(hash, password.data(), password.size(), kPasses, kMemory, crypto_pwhash_ALG_ARGON2ID13) !=
        0)
        log::fatal("no memory to hash a password");
    c.argon2 = hash;
    c.scram_sha256 = make_secrets(proto::ScramHash::sha256, password);
    c.scram_sha1 = make_secrets(proto::ScramHash::sha1, password);
    return c;
}

bool verify_password(const proto::Credentials& credentials, std::string_view password) {
    return crypto_pwhash_str_verify(credentials.argon2.c_str(), password.data(), password.size()) == 0;
}

const proto::Credentials& dummy_credentials() {
    static const proto::Credentials dummy = make_credentials(random_bytes(32));
    return dummy;
}

}  // namespace mox::authd
