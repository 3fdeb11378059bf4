// The server's half of simple SASL mechanisms: taking apart what clients send. Verification is authd's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::sasl {

constexpr size_t kMaxLogin = 320;      // bytes: localpart 64, "@", domain 255
constexpr size_t kMaxPassword = 1024;  // bytes

/// The message of PLAIN (RFC 4616 section 2).
struct PlainCredentials {
    std::string authzid;
    std::string authcid;
    std::string password;
};

/// The message of EXTERNAL (RFC 4422 appendix A.1): the authorization identity, empty for the one that the server
/// derives. Nothing when it is not UTF-8, has a NUL, or is too long.
std::optional<std::string> parse_external(std::string_view decoded);

/// A mechanism of the SCRAM family by its name, in upper case.
struct ScramMechanism {
    enum class Hash : uint8_t { sha1, sha256, kEnd };
    Hash hash = Hash::sha256;
    bool plus = false;  // with channel binding
};
std::optional<ScramMechanism> find_scram(std::string_view name);

/// Nothing when the decoded message is not three parts separated by NUL, or a part is too long or empty.
std::optional<PlainCredentials> parse_plain(std::string_view decoded);

}  // namespace mox::sasl
