// URLs of messages and their parts on this server, as CATENATE takes them: "/box;UIDVALIDITY=5/;UID=20/;SECTION=1.2".
//
// Pure. RFC 5092 and the older 2192 (form), 4469 3 (those that are taken: of this server, absolute or relative).
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
};

/// Nothing when it is not of that form.
std::optional<MessageUrl> parse_message_url(std::string_view url);

}  // namespace mox::imapd
