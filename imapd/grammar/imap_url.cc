#include "imapd/grammar/imap_url.h"

#include <algorithm>

#include "common/mail/date.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "common/text/hex.h"
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
        if (url.uidvalidity.value_or(0) == 0) return false;  // RFC 5092 11: nz-number
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
        url.section_text = *spec;
        return in.at_end();
    } catch (const SyntaxError&) {
        return false;
    }
}

// RFC 5092 11: number [ "." nz-number ]
bool take_partial(std::string_view text, MessageUrl& url) {
    auto dot = text.find('.');
    auto offset = text::parse_number<uint64_t>(text.substr(0, dot));
    auto count = dot == std::string_view::npos ? std::optional<uint64_t>(UINT64_MAX)
                                               : text::parse_number<uint64_t>(text.substr(dot + 1));
    if (!offset || count.value_or(0) == 0) return false;
    url.section.partial = Section::Partial{*offset, *count};
    url.partial_text = text;
    return true;
}

constexpr std::string_view kScheme = "imap://";

// The path of an absolute URL, whose host is taken to be this one; a relative one is its own.
std::string_view path_of(std::string_view url) {
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

namespace {

// RFC 5092 2 iserver: [ iuserinfo "@" ] host [ ":" port ]; the user is needed here (RFC 4467 7 GENURLAUTH)
bool take_server(std::string_view url, proto::AuthorizedUrl& terms) {
    if (!text::istarts_with(url, kScheme)) return false;
    auto server = url.substr(kScheme.size());
    server = server.substr(0, server.find('/'));
    auto at = server.find('@');
    if (at == std::string_view::npos || at + 1 == server.size()) return false;
    auto user = server.substr(0, at);
    auto name = percent_decode(user.substr(0, user.find(';')));  // ";AUTH=" says how to log in, nothing more
    if (!name || name->empty() || !mail::is_utf8(*name)) return false;
    terms.user = std::move(*name);
    terms.host = text::to_lower(server.substr(at + 1));
    return true;
}

// RFC 4467 9 access
bool take_access(std::string_view text, proto::AuthorizedUrl& terms) {
    using proto::UrlAccess;
    if (text::iequals(text, "authuser") || text::iequals(text, "anonymous")) {
        terms.access = text::iequals(text, "authuser") ? UrlAccess::authuser : UrlAccess::anonymous;
        return true;
    }
    auto plus = text.find('+');
    auto kind = text.substr(0, plus);
    if (plus == std::string_view::npos || !(text::iequals(kind, "submit") || text::iequals(kind, "user"))) return false;
    terms.access = text::iequals(kind, "submit") ? UrlAccess::submit : UrlAccess::user;
    auto user = percent_decode(text.substr(plus + 1));
    if (!user || user->empty() || !mail::is_utf8(*user)) return false;
    terms.access_user = std::move(*user);
    return true;
}

// RFC 4467 9: access [ ":" mechanism ":" token ], the token in hexadecimal digits
bool take_authorization(std::string_view text, AuthUrl& url) {
    auto colon = text.find(':');
    if (!take_access(text.substr(0, colon), url.terms)) return false;
    if (colon == std::string_view::npos) return true;
    text.remove_prefix(colon + 1);
    colon = text.find(':');
    url.mechanism = text::to_upper(text.substr(0, colon));
    auto token = colon == std::string_view::npos ? std::nullopt : text::decode_hex(text.substr(colon + 1));
    if (url.mechanism.empty() || !token || token->empty()) return false;
    url.token = std::move(*token);
    return true;
}

// Cuts off what begins with this name, the last one; without the name.
std::optional<std::string_view> cut_tail(std::string_view& url, std::string_view name) {
    for (size_t at = url.size(); at-- > 0;) {
        if (!text::istarts_with(url.substr(at), name)) continue;
        auto tail = url.substr(at + name.size());
        url = url.substr(0, at);
        return tail;
    }
    return std::nullopt;
}

std::optional<uint32_t> digits(std::string_view text, size_t at, size_t count) {
    if (at + count > text.size()) return std::nullopt;
    auto part = text.substr(at, count);
    bool all = std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    return all ? text::parse_number<uint32_t>(part) : std::nullopt;
}

// "Z" or "+hh:mm", in seconds east
std::optional<int64_t> parse_offset(std::string_view text) {
    if (text::iequals(text, "Z")) return 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
    auto hours = digits(text, 1, 2);
    auto minutes = digits(text, 4, 2);
    if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
    int64_t seconds = int64_t{*hours} * 3600 + int64_t{*minutes} * 60;
    return text[0] == '-' ? -seconds : seconds;
}

}  // namespace

std::optional<int64_t> parse_internet_date(std::string_view text) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00";
    if (text.size() < kForm.size()) return std::nullopt;
    for (size_t i : {4, 7, 10, 13, 16})
        if (text[i] != kForm[i] && !(i == 10 && text[i] == 't')) return std::nullopt;
    auto year = digits(text, 0, 4);
    auto month = digits(text, 5, 2);
    auto day = digits(text, 8, 2);
    auto hour = digits(text, 11, 2);
    auto minute = digits(text, 14, 2);
    auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    constexpr uint32_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (*year == 0 || *month < 1 || *month > 12 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
    if (*day < 1 || *day > kDays[*month - 1] + (leap && *month == 2 ? 1 : 0)) return std::nullopt;
    auto rest = text.substr(kForm.size());
    if (rest.starts_with('.')) {  // a fraction is cut off: it expires at most a second early
        size_t end = 1;
        while (end < rest.size() && rest[end] >= '0' && rest[end] <= '9') end++;
        if (end == 1) return std::nullopt;
        rest.remove_prefix(end);
    }
    auto offset = parse_offset(rest);
    if (!offset) return std::nullopt;
    mail::Date date{static_cast<int16_t>(*year), static_cast<uint8_t>(*month), static_cast<uint8_t>(*day)};
    return mail::unix_seconds(date) + int64_t{*hour} * 3600 + int64_t{*minute} * 60 + *second - *offset;
}

std::optional<AuthUrl> parse_auth_url(std::string_view text) {
    bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
    if (text.size() > kMaxUrl || !printable) return std::nullopt;
    AuthUrl url{};
    // RFC 4467 3: it stands last, behind EXPIRE
    auto authorization = cut_tail(text, ";URLAUTH=");
    if (!authorization || !take_authorization(*authorization, url)) return std::nullopt;
    if (auto expire = cut_tail(text, ";EXPIRE=")) {
        url.terms.expire = parse_internet_date(*expire);
        if (!url.terms.expire) return std::nullopt;
    }
    if (!take_server(text, url.terms)) return std::nullopt;
    auto message = parse_message_url(text);
    if (!message || message->mailbox.empty()) return std::nullopt;
    url.terms.mailbox = std::move(message->mailbox);
    url.terms.uidvalidity = message->uidvalidity;
    url.terms.uid = {message->uid};
    url.terms.section = std::move(message->section_text);
    url.terms.partial = std::move(message->partial_text);
    url.section = std::move(message->section);
    return url;
}

}  // namespace mox::imapd
