// As many messages as one command works on, and what the client is told of the others (MESSAGELIMIT and SAVELIMIT, RFC
// 9738).
//
// A command that is given more works on the last of them, from the highest UID to the lowest, and names the lowest one;
// the client goes on from there. One that must not be done in part is refused. EXPUNGE, CLOSE and STATUS have no limit
// (RFC 9738 3.1), and what the server tells by itself has none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "imapd/worker/session.h"

namespace mox::imapd {

/// What a command does not come to: all below `lowest`, a UID.
struct Cut {
    size_t limit;
    uint32_t lowest;
};
/// Leaves the last messages of a selection, at most `limit`; nothing when those are all.
std::optional<Cut> cut_to_last(const MailboxView& view, Selection& selection, size_t limit);
/// The messages of a selection one by one, from the last to the first.
Selection backwards(const Selection& selection);

/// `[MESSAGELIMIT 1000 23221] `.
std::string message_limit_code(const Cut& cut);
/// `[MESSAGELIMIT 1000] `: nothing was done.
std::string message_limit_code(size_t limit);
/// The answer of a command, with that code when it was cut.
Answer limited(Session& session, Answer answer, const std::optional<Cut>& cut);

/// Answers NO when there are more messages than one APPEND, or COPY to another account, takes.
void check_save_limit(const Session& session, size_t messages);

}  // namespace mox::imapd
