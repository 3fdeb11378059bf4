#include "httpd/request.h"

#include <algorithm>
#include <optional>

#include "common/text/ascii.h"

namespace mox::httpd {
namespace {

constexpr Status kBadRequest = 400;
constexpr Status kVersionNotSupported = 505;
constexpr Status kFieldsTooLarge = 431;

/// RFC 9110 5.6.2
bool is_token(std::string_view s) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !s.empty() && std::ranges::all_of(
                             s, [&](char c) { return text::is_alnum(c) || kMarks.find(c) != std::string_view::npos; });
}

/// RFC 9110 5.5: no control characters but the tab; bytes beyond ASCII are opaque.
bool is_field_value(std::string_view s) {
    return std::ranges::all_of(s, [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    });
}

/// Takes up to the next CRLF off `rest`.
std::string_view take_line(std::string_view& rest) {
    size_t end = std::min(rest.find("\r\n"), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    return line;
}

/// The path of a request target, or nothing when it has none of the forms of RFC 9112 3.2.
std::optional<std::string> path_of(std::string_view target) {
    if (!std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f; })) return std::nullopt;
    if (target == "*") return "*";
    // RFC 9112 3.2.2: a server must accept the absolute form.
    for (std::string_view scheme : {"http://", "https://"}) {
        if (!text::istarts_with(target, scheme)) continue;
        target.remove_prefix(scheme.size());
        target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
        if (target.empty() || target[0] == '?') return "/";
        break;
    }
    if (!target.starts_with('/')) return std::nullopt;
    return std::string(target.substr(0, target.find('?')));
}

struct Fields {
    size_t hosts = 0;
    std::optional<uint64_t> content_length;
    bool transfer_encoding = false;
    bool close = false;
};

bool lists_close(std::string_view value) {
    while (!value.empty()) {
        size_t comma = std::min(value.find(','), value.size());
        if (text::iequals(text::trim(value.substr(0, comma)), "close")) return true;
        value.remove_prefix(std::min(comma + 1, value.size()));
    }
    return false;
}

/// Notes one field; false when the request must be refused.
bool note_field(std::string_view name, std::string_view value, Fields& fields) {
    if (text::iequals(name, "Host")) {
        fields.hosts++;
    } else if (text::iequals(name, "Content-Length")) {
        auto length = text::parse_number<uint64_t>(value);
        // RFC 9112 6.3: an invalid length, or two that differ.
        if (!length || (fields.content_length && *fields.content_length != *length)) return false;
        fields.content_length = length;
    } else if (text::iequals(name, "Transfer-Encoding")) {
        fields.transfer_encoding = true;
    } else if (text::iequals(name, "Connection")) {
        fields.close = fields.close || lists_close(value);
    }
    return true;
}

std::expected<Fields, Status> parse_fields(std::string_view rest) {
    Fields fields;
    for (size_t count = 0; !rest.empty(); count++) {
        if (count == kMaxFields) return std::unexpected(kFieldsTooLarge);
        std::string_view line = take_line(rest);
        size_t colon = line.find(':');
        // RFC 9112 5.1: no blank before the colon; 5.2: folded lines are refused. Neither is a token.
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return std::unexpected(kBadRequest);
        std::string_view value = line.substr(colon + 1);
        if (!is_field_value(value) || !note_field(line.substr(0, colon), text::trim(value), fields))
            return std::unexpected(kBadRequest);
    }
    return fields;
}

}  // namespace

std::expected<Request, Status> parse_request(std::string_view head) {
    std::string_view line = take_line(head);
    size_t first = line.find(' ');
    size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return std::unexpected(kBadRequest);
    std::string_view method = line.substr(0, first);
    std::string_view version = line.substr(last + 1);
    auto path = path_of(line.substr(first + 1, last - first - 1));
    if (!is_token(method) || !path) return std::unexpected(kBadRequest);
    // RFC 9112 2.3: the name is case-sensitive and the numbers are single digits.
    if (version.size() != 8 || !version.starts_with("HTTP/") || !text::is_digit(version[5]) || version[6] != '.' ||
        !text::is_digit(version[7]))
        return std::unexpected(kBadRequest);
    if (version[5] != '1') return std::unexpected(kVersionNotSupported);
    auto fields = parse_fields(head);
    if (!fields) return std::unexpected(fields.error());
    bool old = version[7] == '0';
    // RFC 9112 3.2: exactly one Host in HTTP/1.1.
    if (fields->hosts > 1 || (fields->hosts == 0 && !old)) return std::unexpected(kBadRequest);
    // RFC 9112 6.1, 6.3: both lengths, or chunks in HTTP/1.0, are an attempt to smuggle.
    if (fields->transfer_encoding && (fields->content_length || old)) return std::unexpected(kBadRequest);
    bool body = fields->transfer_encoding || fields->content_length.value_or(0) > 0;
    Request request;
    // RFC 9110 9.1: methods are case-sensitive.
    request.method = method == "GET" ? Method::get : method == "HEAD" ? Method::head : Method::other;
    request.path = std::move(*path);
    request.after = old || body || fields->close ? After::close : After::keep_alive;
    return request;
}

}  // namespace mox::httpd
