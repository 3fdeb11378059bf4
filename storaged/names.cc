#include "storaged/names.h"

#include <algorithm>
#include <arpa/inet.h>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "proto/account.h"

namespace mox::storaged {
namespace {

bool is_forbidden(char32_t c) {
    // RFC 9051 5.1: no control characters, no line and paragraph separators.
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

bool has_forbidden_character(std::string_view name) {
    while (!name.empty()) {
        size_t length = mail::utf8_length(name);
        if (length == 0 || is_forbidden(mail::utf8_decode(name, length))) return true;
        name.remove_prefix(length);
    }
    return false;
}

bool has_bad_level(std::string_view name) {
    size_t depth = 0;
    for (size_t start = 0; start <= name.size(); depth++) {
        size_t end = std::min(name.find('/', start), name.size());
        std::string_view level = name.substr(start, end - start);
        if (level.empty() || level == "." || level == "..") return true;
        start = end + 1;
    }
    return depth > kMaxMailboxDepth;
}

}  // namespace

Result<std::string> canonical_mailbox_name(std::string_view name) {
    if (name.empty()) return permanent(ErrorCode::bad_request, "a mailbox needs a name");
    if (name.size() > proto::kMaxMailboxName) return permanent(ErrorCode::bad_request, "the mailbox name is too long");
    if (has_forbidden_character(name))
        return permanent(ErrorCode::bad_request, "a character is not allowed in mailbox names");
    // RFC 3501 5.1.2: a leading # is for namespaces: that of others (proto::kOthers) does not come here.
    if (name.front() == '#') return permanent(ErrorCode::bad_request, "a mailbox name may not start with #");
    if (has_bad_level(name))
        return permanent(ErrorCode::bad_request, "a level of the mailbox name is empty or not allowed");
    std::string canonical(name);
    // RFC 3501 5.1: INBOX is case-insensitive.
    if (text::iequals(name.substr(0, name.find('/')), "inbox")) canonical.replace(0, 5, "INBOX");
    return canonical;
}

Result<std::string> canonical_subscription(std::string_view name) {
    if (!name.starts_with(proto::kOthers)) return canonical_mailbox_name(name);
    std::string owner(proto::owner_of(name));
    std::string above = std::string(proto::kOthers) + owner;
    if (!is_account_name(owner) || name.size() <= above.size() + 1)
        return permanent(ErrorCode::bad_request, "not the name of a mailbox of another account");
    auto canonical = canonical_mailbox_name(name.substr(above.size() + 1));
    if (!canonical) return canonical;
    return above + '/' + *canonical;
}

std::vector<std::string> parents_of(std::string_view name) {
    std::vector<std::string> parents;
    for (size_t at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1))
        parents.emplace_back(name.substr(0, at));
    return parents;
}

bool is_keyword(std::string_view name) {
    if (name.empty() || name.size() > kMaxKeywordName) return false;
    for (char c : name)
        if (c <= ' ' || c >= 0x7f || std::string_view("(){%*\"\\]").find(c) != std::string_view::npos) return false;
    return true;
}

bool is_printable(std::string_view text, size_t max) {
    auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    return text.size() <= max && mail::is_utf8(text) && std::ranges::none_of(text, is_control);
}

bool is_ip_address(const std::string& text) {
    in6_addr address{};
    return inet_pton(AF_INET, text.c_str(), &address) == 1 || inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_account_name(std::string_view name) {
    if (name.empty() || name.size() > 128 || name.front() == '.') return false;
    return name.find('/') == std::string_view::npos && mail::is_utf8(name) && !has_forbidden_character(name);
}

}  // namespace mox::storaged
