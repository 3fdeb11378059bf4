// Identifiers that stay with mailboxes and messages (RFC 8474).
//
// A mailbox has the identifier of its UIDVALIDITY, which no other of the account ever has; a message that of its
// content, which its copies share.
#pragma once

#include <string>

#include "proto/account.h"

namespace mox::imapd {

std::string mailbox_id(const proto::Mailbox& mailbox);
std::string email_id(const proto::ContentId& content);

}  // namespace mox::imapd
