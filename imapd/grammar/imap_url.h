// URLs of messages and their parts on this server, as CATENATE takes them: "/box;UIDVALIDITY=5/;UID=20/;SECTION=1.2";
// and absolute ones that carry their authorization: "imap://joe@host/box/;UID=20;URLAUTH=user+fred:INTERNAL:0a1b...".
//
// Pure. RFC 5092 and the older 2192 (form), 4469 3 (those that CATENATE takes: of this server, absolute or relative),
// 4467 3 and 9 (EXPIRE, URLAUTH).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "imapd/grammar/command.h"

namespace mox::imapd {

struct MessageUrl {
    std::string mailbox;  // UTF-8; empty: the selected one
    std::optional<uint32_t> uidvalidity;
    uint32_t uid = 0;
    Section section;  // with its partial
    // These two as they are written, decoded.
    std::string section_text;
    std::string partial_text;
};

/// A URL with URLAUTH. In `terms` is what its token speaks of.
struct AuthUrl {
    proto::AuthorizedUrl terms;
    Section section;
    std::string mechanism;  // upper case; empty in one that is to be authorized
    std::string token;      // bytes
};
constexpr size_t kMaxUrl = 4000;  // bytes

/// Nothing when it is not of that form.
std::optional<MessageUrl> parse_message_url(std::string_view url);
/// The same for one with URLAUTH, with its mechanism and token or without both.
std::optional<AuthUrl> parse_auth_url(std::string_view url);
/// Nothing when it is not of RFC 3339's form (5.6 date-time): Unix seconds.
std::optional<int64_t> parse_internet_date(std::string_view text);

}  // namespace mox::imapd
