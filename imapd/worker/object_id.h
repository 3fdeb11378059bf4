// Identifiers that stay with mailboxes and messages (RFC 8474).
//
// A mailbox has the identifier of its UIDVALIDITY, which no other of the account ever has; a message that of its
// content, which its copies share. Those of others have the owner's name in theirs, in hexadecimal.
#pragma once

#include <string>

#include "proto/account.h"

namespace mox::imapd {

std::string mailbox_id(const proto::Mailbox& mailbox);
/// `mailbox` is one that the message is in.
std::string email_id(const proto::ContentId& content, const proto::Mailbox& mailbox);

}  // namespace mox::imapd
