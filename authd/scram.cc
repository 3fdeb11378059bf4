#include "authd/scram.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <optional>
#include <sodium.h>
#include <vector>

#include "authd/passwords.h"
#include "common/text/base64.h"

namespace mox::authd {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kMinNonce = 8;
constexpr size_t kHash = 32;

const unsigned char* bytes(std::string_view s) {
    return reinterpret_cast<const unsigned char*>(s.data());
}

std::string hmac(std::string_view key, std::string_view text) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes(key), key.size());
    crypto_auth_hmacsha256_update(&state, bytes(text), text.size());
    std::string out(kHash, '\0');
    crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(out.data()));
    return out;
}

std::string sha256(std::string_view text) {
    std::string out(kHash, '\0');
    crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()), bytes(text), text.size());
    return out;
}

std::unexpected<Error> bad(std::string_view scram_error, std::string text) {
    return permanent(ErrorCode::bad_request, fmt::format("{}: {}", scram_error, text));
}

std::vector<std::string_view> split_commas(std::string_view s) {
    std::vector<std::string_view> parts;
    for (size_t comma = s.find(','); comma != std::string_view::npos; comma = s.find(',')) {
        parts.push_back(s.substr(0, comma));
        s.remove_prefix(comma + 1);
    }
    parts.push_back(s);
    return parts;
}

/// RFC 5802 5.1: in names, "=2C" is a comma and "=3D" an equals sign; nothing else may follow "=".
std::optional<std::string> unescape_name(std::string_view s) {
    std::string out;
    for (size_t i = 0; i < s.size(); i++) {
        if (s[i] != '=') {
            out += s[i];
            continue;
        }
        std::string_view code = s.substr(i, 3);
        if (code != "=2C" && code != "=3D") return std::nullopt;
        out += code == "=2C" ? ',' : '=';
        i += 2;
    }
    return out;
}

bool printable_nonce(std::string_view s) {
    for (char c : s)
        if (c < 0x21 || c > 0x7e || c == ',') return false;
    return s.size() >= kMinNonce;
}

}  // namespace

ScramKeys derive_scram_keys(std::string_view password, std::string_view salt, uint32_t iterations) {
    std::string salted(kHash, '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt), static_cast<int>(salt.size()),
                      static_cast<int>(iterations), EVP_sha256(), kHash,
                      reinterpret_cast<unsigned char*>(salted.data()));
    return {sha256(hmac(salted, "Client Key")), hmac(salted, "Server Key")};
}

proto::Credentials made_up_credentials(std::string_view user, std::string_view secret) {
    proto::Credentials c;
    c.scram_sha256_salt = hmac(secret, std::string("salt ") + std::string(user)).substr(0, 16);
    c.scram_sha256_iterations = kScramIterations;
    c.scram_sha256_stored_key.value = hmac(secret, std::string("stored ") + std::string(user));
    c.scram_sha256_server_key.value = hmac(secret, std::string("server ") + std::string(user));
    return c;
}

Result<ScramServer> ScramServer::start(const proto::ScramStart& request) {
    std::string_view message = request.client_first;
    if (message.size() > kMaxMessage) return bad("other-error", "message too long");
    // RFC 5802 7: gs2-header client-first-message-bare; gs2-header = gs2-cbind-flag "," [ authzid ] ","
    auto parts = split_commas(message);
    if (parts.size() < 4) return bad("other-error", "incomplete message");
    std::string_view flag = parts[0];
    ScramServer s;
    if (flag == "y" || flag == "n") {
        if (request.plus) return bad("channel-binding-not-supported", "the -PLUS mechanism needs channel binding");
        // RFC 5802 6: "y" from a client that was offered -PLUS means somebody took the offer away.
        if (flag == "y" && request.plus_offered)
            return bad("server-does-support-channel-binding", "the server offers channel binding");
    } else if (flag.starts_with("p=")) {
        if (request.binding.type.empty() || flag.substr(2) != request.binding.type)
            return bad("unsupported-channel-binding-type", "this channel binding is not available here");
        s.binding_data_ = request.binding.data;
    } else {
        return bad("other-error", "malformed channel binding flag");
    }
    s.gs2_header_ = std::string(flag) + "," + std::string(parts[1]) + ",";
    s.client_first_bare_ = message.substr(s.gs2_header_.size());
    // RFC 5802 5.1: "m=" is for extensions that must be understood.
    if (parts[2].starts_with("m=")) return bad("extensions-not-supported", "mandatory extension");
    if (!parts[2].starts_with("n=") || !parts[3].starts_with("r=")) return bad("other-error", "name or nonce missing");
    auto user = unescape_name(parts[2].substr(2));
    if (!user || user->empty()) return bad("invalid-username-encoding", "malformed name");
    // An authorization id other than the user itself is not for sale here.
    if (!parts[1].empty() && (!parts[1].starts_with("a=") || unescape_name(parts[1].substr(2)) != user))
        return permanent(ErrorCode::denied, "acting for another user is not permitted");
    s.user_ = std::move(*user);
    s.client_nonce_ = parts[3].substr(2);
    if (!printable_nonce(s.client_nonce_)) return bad("other-error", "nonce too short or malformed");
    std::string random(18, '\0');
    randombytes_buf(random.data(), random.size());
    s.server_nonce_ = text::encode_base64(random);
    return s;
}

std::string ScramServer::challenge(const proto::Credentials& c) {
    stored_key_ = c.scram_sha256_stored_key.value;
    server_key_ = c.scram_sha256_server_key.value;
    server_first_ = fmt::format("r={}{},s={},i={}", client_nonce_, server_nonce_,
                                text::encode_base64(c.scram_sha256_salt), c.scram_sha256_iterations);
    return server_first_;
}

Result<std::string> ScramServer::finish(std::string_view message) {
    size_t proof_at = message.rfind(",p=");
    if (message.size() > kMaxMessage || proof_at == std::string_view::npos) return bad("other-error", "proof missing");
    std::string_view without_proof = message.substr(0, proof_at);
    auto proof = text::decode_base64(message.substr(proof_at + 3));
    auto parts = split_commas(without_proof);
    if (parts.size() < 2 || !parts[0].starts_with("c=") || !proof || proof->size() != kHash)
        return bad("other-error", "malformed final message");
    // RFC 5802 7: cbind-input = gs2-header [ cbind-data ]
    auto binding = text::decode_base64(parts[0].substr(2));
    if (!binding || *binding != gs2_header_ + binding_data_)
        return permanent(ErrorCode::denied, "channel-bindings-dont-match");
    if (parts[1] != "r=" + client_nonce_ + server_nonce_) return permanent(ErrorCode::denied, "nonces do not match");
    std::string auth_message = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
    std::string client_key = hmac(stored_key_, auth_message);
    for (size_t i = 0; i < kHash; i++) client_key[i] = static_cast<char>(client_key[i] ^ (*proof)[i]);
    std::string stored = sha256(client_key);
    if (stored_key_.size() != kHash || sodium_memcmp(stored.data(), stored_key_.data(), kHash) != 0)
        return permanent(ErrorCode::denied, "invalid-proof");
    return "v=" + text::encode_base64(hmac(server_key_, auth_message));
}

}  // namespace mox::authd
