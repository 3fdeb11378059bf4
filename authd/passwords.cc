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

}  // namespace

proto::Credentials make_credentials(std::string_view password) {
    proto::Credentials c;
    char hash[crypto_pwhash_STRBYTES];
    if (crypto_pwhash_str_alg(hash, password.data(), password.size(), kPasses, kMemory, crypto_pwhash_ALG_ARGON2ID13) !=
        0)
        log::fatal("no memory to hash a password");
    c.argon2 = hash;
    c.scram_sha256_salt = random_bytes(16);
    c.scram_sha256_iterations = kScramIterations;
    ScramKeys keys = derive_scram_keys(password, c.scram_sha256_salt, c.scram_sha256_iterations);
    c.scram_sha256_stored_key.value = keys.stored_key;
    c.scram_sha256_server_key.value = keys.server_key;
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
