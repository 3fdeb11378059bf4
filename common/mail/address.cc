#include "common/mail/address.h"

#include "common/mail/domain.h"
#include "common/mail/scanner.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

auto bad(std::string text) {
    return permanent(ErrorCode::bad_request, std::move(text));
}

bool is_text_allowed(std::string_view s, Utf8 utf8) {
    return utf8 == Utf8::allowed ? is_utf8(s) : text::is_ascii(s);
}

// Dot-string of RFC 5321 4.1.2, with UTF8-non-ascii as in RFC 6531 3.3.
bool is_dot_string(std::string_view s) {
    bool atom = false;
    for (char c : s) {
        if (c == '.') {
            if (!atom) return false;
            atom = false;
        } else if (is_atext(c) || is_8bit(c)) {
            atom = true;
        } else {
            return false;
        }
    }
    return atom;
}

Result<std::string> take_quoted_string(std::string_view& text) {
    std::string out;
    for (size_t i = 1; i < text.size(); ++i) {
        char c = text[i];
        if (c == '"') {
            text.remove_prefix(i + 1);
            return out;
        }
        if (c == '\\' && ++i < text.size()) c = text[i];
        // RFC 5321 4.1.2: qtextSMTP and quoted-pairSMTP are printable ASCII
        if (!is_8bit(c) && (c < ' ' || c > '~')) return bad("control character in quoted local part");
        out += c;
    }
    return bad("quoted local part without closing quote");
}

Result<std::string> take_localpart(std::string_view& text, Utf8 utf8) {
    std::string out;
    if (text.starts_with('"')) {
        auto quoted = take_quoted_string(text);
        if (!quoted) return quoted;
        out = std::move(*quoted);
    } else {
        size_t length = 0;
        while (length < text.size() && (text[length] == '.' || is_atext(text[length]) || is_8bit(text[length]))) {
            ++length;
        }
        out = text.substr(0, length);
        if (!is_dot_string(out)) return bad("malformed local part");
        text.remove_prefix(length);
    }
    if (out.size() > kMaxLocalpart) return bad("local part too long");
    if (!is_text_allowed(out, utf8)) {
        return bad(utf8 == Utf8::allowed ? "local part is not UTF-8" : "non-ASCII local part needs SMTPUTF8");
    }
    return out;
}

// The characters up to what can not belong to a domain.
std::string_view take_domain_text(std::string_view& text) {
    size_t length = 0;
    if (text.starts_with('[')) {
        length = text.find(']');
        length = length == text.npos ? text.size() : length + 1;
    } else {
        auto is_part = [](char c) { return text::is_alnum(c) || c == '-' || c == '.' || c == '_' || is_8bit(c); };
        while (length < text.size() && is_part(text[length])) ++length;
    }
    auto out = text.substr(0, length);
    text.remove_prefix(length);
    return out;
}

Result<Address> take_mailbox(std::string_view& text, Utf8 utf8) {
    auto start = text.size();
    auto localpart = take_localpart(text, utf8);
    if (!localpart) return std::unexpected(localpart.error());
    if (!text.starts_with('@')) return bad("address without @domain");
    text.remove_prefix(1);
    auto domain = parse_domain(take_domain_text(text), utf8);
    if (!domain) return std::unexpected(domain.error());
    if (start - text.size() > kMaxPath - 2) return bad("path too long");
    return Address{std::move(*localpart), std::move(*domain)};
}

// `@one,@two:` in front of the mailbox (A-d-l of RFC 5321 4.1.2).
Result<void> skip_source_route(std::string_view& text, Utf8 utf8) {
    if (!text.starts_with('@')) return {};
    auto hops = 0;
    while (text.starts_with('@')) {
        text.remove_prefix(1);
        if (++hops > 20) return bad("source route too long");
        if (auto domain = parse_domain(take_domain_text(text), utf8); !domain) return bad("malformed source route");
        if (text.starts_with(',')) text.remove_prefix(1);
    }
    if (!text.starts_with(':')) return bad("malformed source route");
    text.remove_prefix(1);
    return {};
}

std::string quote_localpart(std::string_view localpart) {
    if (is_dot_string(localpart)) return std::string(localpart);
    std::string out = "\"";
    for (char c : localpart) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace

Result<Address> parse_address(std::string_view text, Utf8 utf8) {
    auto address = take_mailbox(text, utf8);
    if (address && !text.empty()) return bad("text after the address");
    return address;
}

Result<Path> take_path(std::string_view& text, Utf8 utf8) {
    auto rest = text;
    if (!rest.starts_with('<')) return bad("path without <");
    rest.remove_prefix(1);
    if (rest.starts_with('>')) {
        text = rest.substr(1);
        return Path{PathKind::null, {}};
    }
    constexpr std::string_view kPostmaster = "postmaster";
    if (text::istarts_with(rest, kPostmaster) && rest.substr(kPostmaster.size()).starts_with('>')) {
        text = rest.substr(kPostmaster.size() + 1);
        return Path{PathKind::postmaster, {std::string(rest.substr(0, kPostmaster.size())), ""}};
    }
    // RFC 5321 4.1.1.3: a source route is accepted and ignored
    if (auto route = skip_source_route(rest, utf8); !route) return std::unexpected(route.error());
    auto address = take_mailbox(rest, utf8);
    if (!address) return std::unexpected(address.error());
    if (!rest.starts_with('>')) return bad("path without >");
    text = rest.substr(1);
    return Path{PathKind::mailbox, std::move(*address)};
}

Result<Path> parse_path(std::string_view text, Utf8 utf8) {
    auto path = take_path(text, utf8);
    if (path && !text.empty()) return bad("text after the path");
    return path;
}

std::string to_string(const Address& address) {
    if (address.domain.empty()) return quote_localpart(address.localpart);
    return quote_localpart(address.localpart) + '@' + address.domain;
}

std::string to_string(const Path& path) {
    if (path.kind == PathKind::null) return "<>";
    return '<' + to_string(path.address) + '>';
}

bool same_address(const Address& a, const Address& b) {
    return a.localpart == b.localpart && same_domain(a.domain, b.domain);
}

bool same_address_ignoring_case(const Address& a, const Address& b) {
    return text::iequals(a.localpart, b.localpart) && same_domain(a.domain, b.domain);
}

bool is_ascii(const Address& address) {
    return text::is_ascii(address.localpart) && text::is_ascii(address.domain);
}

}  // namespace mox::mail
