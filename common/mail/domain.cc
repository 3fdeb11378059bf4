#include "common/mail/domain.h"

#include <arpa/inet.h>
#include <array>
#include <idn2.h>
#include <memory>

#include "common/mail/scanner.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

auto bad(std::string text) {
    return permanent(ErrorCode::bad_request, std::move(text));
}

struct IdnFree {
    void operator()(char* p) const { idn2_free(p); }
};

template <class Convert>
Result<std::string> convert(std::string_view domain, Convert call) {
    if (domain.size() > kMaxDomain || domain.find('\0') != domain.npos) return bad("malformed domain");
    if (!is_utf8(domain)) return bad("domain is not UTF-8");
    char* raw = nullptr;
    int code = call(std::string(domain).c_str(), &raw);
    std::unique_ptr<char, IdnFree> owner(raw);
    if (code != IDN2_OK || raw == nullptr) return bad("malformed internationalised domain");
    return std::string(raw);
}

bool has_a_label(std::string_view domain) {
    for (size_t i = 0; i + 4 <= domain.size(); ++i) {
        if ((i == 0 || domain[i - 1] == '.') && text::istarts_with(domain.substr(i), "xn--")) return true;
    }
    return false;
}

bool is_plain(std::string_view domain) {
    return text::is_ascii(domain) && !has_a_label(domain);
}

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > 63) return false;  // RFC 1035 2.3.4
    if (label.front() == '-' || label.back() == '-') return false;
    for (char c : label) {
        // DEVIATES RFC 5321 4.1.2: '_' stands in names that exist and send mail
        if (!text::is_alnum(c) && c != '-' && c != '_') return false;
    }
    return true;
}

}  // namespace

bool is_ascii_domain(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    while (true) {
        auto dot = name.find('.');
        if (!is_label(name.substr(0, dot))) return false;
        if (dot == name.npos) return true;
        name.remove_prefix(dot + 1);
    }
}

Result<std::string> parse_literal(std::string_view text) {
    if (text.size() < 2 || text.size() > kMaxDomain || text.front() != '[' || text.back() != ']') {
        return bad("malformed address literal");
    }
    std::string inner(text.substr(1, text.size() - 2));
    if (inner.find('\0') != inner.npos) return bad("malformed address literal");
    std::array<unsigned char, 16> bytes{};
    std::array<char, INET6_ADDRSTRLEN> normal{};
    if (inet_pton(AF_INET, inner.c_str(), bytes.data()) == 1) {
        inet_ntop(AF_INET, bytes.data(), normal.data(), normal.size());
        return '[' + std::string(normal.data()) + ']';
    }
    constexpr std::string_view kTag = "IPv6:";
    if (text::istarts_with(inner, kTag) && inet_pton(AF_INET6, inner.c_str() + kTag.size(), bytes.data()) == 1) {
        inet_ntop(AF_INET6, bytes.data(), normal.data(), normal.size());
        return "[IPv6:" + std::string(normal.data()) + ']';
    }
    return bad("malformed address literal");  // RFC 5321 4.1.3: no General-address-literal tag is registered
}

Result<std::string> parse_domain(std::string_view text, Utf8 utf8) {
    if (text.starts_with('[')) return parse_literal(text);
    if (text.empty()) return bad("empty domain");
    if (text.size() > kMaxDomain) return bad("domain too long");
    if (text::is_ascii(text)) {
        if (!is_ascii_domain(text)) return bad("malformed domain");
        return text::to_lower(text);
    }
    if (utf8 == Utf8::forbidden) return bad("non-ASCII domain needs SMTPUTF8");
    auto ascii = domain_to_ascii(text);  // RFC 6531 3.3: each U-label is valid under IDNA2008
    if (!ascii) return ascii;
    return domain_to_unicode(*ascii);
}

Result<std::string> domain_to_ascii(std::string_view domain) {
    if (domain.starts_with('[')) return parse_literal(domain);
    Result<std::string> out;
    if (is_plain(domain)) {
        out = text::to_lower(domain);
    } else {
        out = convert(domain, [](const char* in, char** to) {
            return idn2_to_ascii_8z(in, to, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        });
    }
    if (out && !is_ascii_domain(*out)) return bad("malformed domain");
    if (out) *out = text::to_lower(*out);
    return out;
}

Result<std::string> domain_to_unicode(std::string_view domain) {
    if (domain.starts_with('[')) return parse_literal(domain);
    if (is_plain(domain)) {
        if (!is_ascii_domain(domain)) return bad("malformed domain");
        return text::to_lower(domain);
    }
    auto ascii = domain_to_ascii(domain);
    if (!ascii) return ascii;
    return convert(*ascii, [](const char* in, char** to) { return idn2_to_unicode_8z8z(in, to, 0); });
}

bool same_domain(std::string_view a, std::string_view b) {
    if (text::iequals(a, b)) return true;
    if (is_plain(a) && is_plain(b)) return false;
    auto x = domain_to_ascii(a);
    auto y = domain_to_ascii(b);
    return x && y && *x == *y;
}

}  // namespace mox::mail
