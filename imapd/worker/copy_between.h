// COPY and MOVE between the mailboxes of two accounts: messages are read here and appended there, as their client could
// do, and for that client's rights on both.
#pragma once

#include "imapd/worker/session.h"

namespace mox::imapd {

/// Whether a mailbox belongs to someone else than the selected one.
bool is_elsewhere(const Session& session, const std::string& mailbox);
/// Copies messages of the selected mailbox, all or none. What is too much for one APPEND is refused.
async::Task<proto::MessagesCopied> copy_between(Session& session, Selection selection, std::string mailbox);
/// Removes what was copied: durable there before it goes here.
async::Task<void> remove_copied(Session& session, std::vector<proto::UidRange> uids);

}  // namespace mox::imapd
