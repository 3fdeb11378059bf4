#include "common/sasl/server.h"

#include "common/mail/utf8.h"

namespace mox::sasl {

std::optional<PlainCredentials> parse_plain(std::string_view decoded) {
    // RFC 4616 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
    size_t first = decoded.find('\0');
    if (first == std::string_view::npos) return std::nullopt;
    size_t second = decoded.find('\0', first + 1);
    if (second == std::string_view::npos || decoded.find('\0', second + 1) != std::string_view::npos)
        return std::nullopt;
    PlainCredentials c{std::string(decoded.substr(0, first)),
                       std::string(decoded.substr(first + 1, second - first - 1)),
                       std::string(decoded.substr(second + 1))};
    if (c.authcid.empty() || c.password.empty()) return std::nullopt;
    if (c.authzid.size() > kMaxLogin || c.authcid.size() > kMaxLogin || c.password.size() > kMaxPassword)
        return std::nullopt;
    return c;
}

std::optional<std::string> parse_external(std::string_view decoded) {
    bool fits = decoded.size() <= kMaxLogin && decoded.find('\0') == std::string_view::npos && mail::is_utf8(decoded);
    return fits ? std::optional(std::string(decoded)) : std::nullopt;
}

std::optional<ScramMechanism> find_scram(std::string_view name) {
    ScramMechanism mechanism;
    constexpr std::string_view kPlus = "-PLUS";
    if (name.ends_with(kPlus)) {
        mechanism.plus = true;
        name.remove_suffix(kPlus.size());
    }
    if (name == "SCRAM-SHA-1")
        mechanism.hash = ScramMechanism::Hash::sha1;
    else if (name != "SCRAM-SHA-256")
        return std::nullopt;
    return mechanism;
}

}  // namespace mox::sasl
