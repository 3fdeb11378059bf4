#include "imapd/grammar/imap_url.h"

#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        auto byte = i + 2 < text.size() ? mail::hex_byte(text.substr(i + 1, 2)) : std::nullopt;
        if (!byte || *byte == '\0') return std::nullopt;
        out += *byte;
        i += 2;
    }
    return out;
}

// What stands from `name` to the next "/;" or the end; `rest` goes behind it.
std::optional<std::string_view> take_field(std::string_view& rest, std::string_view name) {
    if (!text::istarts_with(rest, name)) return std::nullopt;
    rest.remove_prefix(name.size());
    auto end = rest.find("/;");
    auto value = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return value;
}

bool take_mailbox(std::string_view text, MessageUrl& url) {
    auto at = text.find(';');
    if (at != std::string_view::npos) {
        auto validity = text.substr(at);
        if (!take_field(validity, ";UIDVALIDITY=")) return false;
        url.uidvalidity = text::parse_number<uint32_t>(text.substr(at + std::string_view(";UIDVALIDITY=").size()));
        if (!url.uidvalidity) return false;
    }
    auto name = percent_decode(text.substr(0, at));
    if (!name || !mail::is_utf8(*name)) return false;  // RFC 5092 6.1: names are UTF-8
    url.mailbox = decode_mailbox_name(*name, NameForm::utf8);
    return true;
}

bool take_section(std::string_view text, MessageUrl& url) {
    auto spec = percent_decode(text);
    if (!spec) return false;
    try {
        Scanner in(*spec);
        parse_section_spec(in, url.section);
        return in.at_end();
    } catch (const SyntaxError&) {
        return false;
    }
}

// RFC 5092 2: offset [ "." length ]
bool take_partial(std::string_view text, MessageUrl& url) {
    auto dot = text.find('.');
    auto offset = text::parse_number<uint64_t>(text.substr(0, dot));
    auto count = dot == std::string_view::npos ? std::optional<uint64_t>(UINT64_MAX)
                                               : text::parse_number<uint64_t>(text.substr(dot + 1));
    if (!offset || !count) return false;
    url.section.partial = Section::Partial{*offset, *count};
    return true;
}

// The path of an absolute URL, whose host is taken to be this one; a relative one is its own.
std::string_view path_of(std::string_view url) {
    constexpr std::string_view kScheme = "imap://";
    if (!text::istarts_with(url, kScheme)) return url;
    auto slash = url.find('/', kScheme.size());
    return slash == std::string_view::npos ? std::string_view() : url.substr(slash);
}

}  // namespace

std::optional<MessageUrl> parse_message_url(std::string_view text) {
    MessageUrl url;
    auto rest = path_of(text);
    if (rest.starts_with('/') && !rest.starts_with("/;")) {
        auto end = rest.find("/;");
        if (end == std::string_view::npos || !take_mailbox(rest.substr(1, end - 1), url)) return std::nullopt;
        rest.remove_prefix(end + 1);
    } else if (rest.starts_with('/')) {
        rest.remove_prefix(1);
    }
    auto uid = take_field(rest, ";UID=");
    auto number = uid ? text::parse_number<uint32_t>(*uid) : std::nullopt;
    if (!number || *number == 0) return std::nullopt;
    url.uid = *number;
    auto section = take_field(rest, ";SECTION=");
    if (section && !take_section(*section, url)) return std::nullopt;
    auto partial = take_field(rest, ";PARTIAL=");
    if (partial && !take_partial(*partial, url)) return std::nullopt;
    if (!rest.empty()) return std::nullopt;
    return url;
}

}  // namespace mox::imapd
