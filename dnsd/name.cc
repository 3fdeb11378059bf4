#include "dnsd/name.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "common/text/ascii.h"

namespace mox::dnsd {
namespace {

bool is_name_byte(char c) {
    return text::is_alnum(c) || c == '-' || c == '_';
}

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kMaxLabel) return false;  // RFC 1035 2.3.4
    for (char c : label) {
        if (!is_name_byte(c)) return false;
    }
    return true;
}

}  // namespace

Result<std::string> check_name(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.size() > kMaxName) return permanent(ErrorCode::bad_request, "not a domain name");
    for (std::string_view rest = name;;) {
        auto dot = rest.find('.');
        if (!is_label(rest.substr(0, dot))) return permanent(ErrorCode::bad_request, "not a domain name");
        if (dot == rest.npos) break;
        rest.remove_prefix(dot + 1);
    }
    return text::to_lower(name);
}

Result<std::string> reverse_name(std::string_view address) {
    std::string text(address);
    unsigned char bytes[16];
    std::string out;
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
        for (int i = 3; i >= 0; i--) out += fmt::format("{}.", bytes[i]);
        return out + "in-addr.arpa";  // RFC 1035 3.5
    }
    if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) {
        for (int i = 15; i >= 0; i--) out += fmt::format("{:x}.{:x}.", bytes[i] & 15, bytes[i] >> 4);
        return out + "ip6.arpa";  // RFC 3596 2.5
    }
    return permanent(ErrorCode::bad_request, "not an address");
}

}  // namespace mox::dnsd
