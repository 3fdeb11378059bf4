#include "authd/scram.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <optional>
#include <sodium.h>
#include <vector>

#include "authd/passwords.h"
#include "common/text/base64.h"

namespace mox::authd {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kMinNonce = 8;
constexpr size_t kSalt = 16;

struct Hash {
    const EVP_MD* (*md)();
    size_t size;
};
const Hash& hash_of(proto::ScramHash hash) {
    static constexpr Hash kSha256{EVP_sha256, 32};
    static constexpr Hash kSha1{EVP_sha1, 20};
    return hash == proto::ScramHash::sha1 ? kSha1 : kSha256;
}

const unsigned char* bytes(std::string_view s) {
    return reinterpret_cast<const unsigned char*>(s.data());
}

std::string hmac(const Hash& hash, std::string_view key, std::string_view text) {
    std::string out(hash.size, '\0');
    unsigned int length = 0;
    HMAC(hash.md(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(),
         reinterpret_cast<unsigned char*>(out.data()), &length);
    return out;
}

std::string digest(const Hash& hash, std::string_view text) {
    std::string out(hash.size, '\0');
    unsigned int length = 0;
    EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), &length, hash.md(), nullptr);
    return out;
}

proto::ScramSecrets made_up_secrets(proto::ScramHash which, std::string_view user, std::string_view secret) {
    const Hash& hash = hash_of(which);
    auto make = [&](std::string_view what) {
        return hmac(hash_of(proto::ScramHash::sha256), secret, std::string(what) + std::string(user));
    };
    bool sha1 = which == proto::ScramHash::sha1;
    proto::ScramSecrets secrets;
    secrets.salt = make(sha1 ? "salt of SHA-1 " : "salt ").substr(0, kSalt);
    secrets.iterations = kScramIterations;
    secrets.stored_key.value = make(sha1 ? "stored for SHA-1 " : "stored ").substr(0, hash.size);
    secrets.server_key.value = make(sha1 ? "server for SHA-1 " : "server ").substr(0, hash.size);
    return secrets;
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

ScramKeys derive_scram_keys(proto::ScramHash which, std::string_view password, std::string_view salt,
                            uint32_t iterations) {
    const Hash& hash = hash_of(which);
    std::string salted(hash.size, '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt), static_cast<int>(salt.size()),
                      static_cast<int>(iterations), hash.md(), static_cast<int>(hash.size),
                      reinterpret_cast<unsigned char*>(salted.data()));
    return {digest(hash, hmac(hash, salted, "Client Key")), hmac(hash, salted, "Server Key")};
}

proto::Credentials made_up_credentials(std::string_view user, std::string_view secret) {
    proto::Credentials c;
    c.scram_sha256 = made_up_secrets(proto::ScramHash::sha256, user, secret);
    c.scram_sha1 = made_up_secrets(proto::ScramHash::sha1, user, secret);
    return c;
}

const proto::ScramSecrets& ScramServer::secrets_of(const proto::Credentials& c) const {
    return hash_ == proto::ScramHash::sha1 ? c.scram_sha1 : c.scram_sha256;
}

bool ScramServer::fits(const proto::Credentials& credentials) const {
    return secrets_of(credentials).stored_key.value.size() == hash_of(hash_).size;
}

Result<ScramServer> ScramServer::start(const proto::ScramStart& request) {
    std::string_view message = request.client_first;
    if (message.size() > kMaxMessage) return bad("other-error", "message too long");
    // RFC 5802 7: gs2-header client-first-message-bare; gs2-header = gs2-cbind-flag "," [ authzid ] ","
    auto parts = split_commas(message);
    if (parts.size() < 4) return bad("other-error", "incomplete message");
    std::string_view flag = parts[0];
    ScramServer s;
    s.hash_ = request.hash;
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
    const auto& secrets = secrets_of(c);
    stored_key_ = secrets.stored_key.value;
    server_key_ = secrets.server_key.value;
    server_first_ = fmt::format("r={}{},s={},i={}", client_nonce_, server_nonce_, text::encode_base64(secrets.salt),
                                secrets.iterations);
    return server_first_;
}

Result<std::string> ScramServer::finish(std::string_view message) {
    const Hash& hash = hash_of(hash_);
    size_t proof_at = message.rfind(",p=");
    if (message.size() > kMaxMessage || proof_at == std::string_view::npos) return bad("other-error", "proof missing");
    std::string_view without_proof = message.substr(0, proof_at);
    auto proof = text::decode_base64(message.substr(proof_at + 3));
    auto parts = split_commas(without_proof);
    if (parts.size() < 2 || !parts[0].starts_with("c=") || !proof || proof->size() != hash.size)
        return bad("other-error", "malformed final message");
    // RFC 5802 7: cbind-input = gs2-header [ cbind-data ]
    auto binding = text::decode_base64(parts[0].substr(2));
    if (!binding || *binding != gs2_header_ + binding_data_) return permanent(ErrorCode::denied, kWrongBinding);
    if (parts[1] != "r=" + client_nonce_ + server_nonce_) return permanent(ErrorCode::denied, "nonces do not match");
    std::string auth_message = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
    std::string client_key = hmac(hash, stored_key_, auth_message);
    for (size_t i = 0; i < hash.size; i++) client_key[i] = static_cast<char>(client_key[i] ^ (*proof)[i]);
    std::string stored = digest(hash, client_key);
    if (stored_key_.size() != hash.size || sodium_memcmp(stored.data(), stored_key_.data(), hash.size) != 0)
        return permanent(ErrorCode::denied, "invalid-proof");
    return "v=" + text::encode_base64(hmac(hash, server_key_, auth_message));
}

}  // namespace mox::authd
