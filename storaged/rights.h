// What the entries of an access control list give to one account (RFC 4314 2). Pure functions.
//
// An account has what its own entries and those of `anyone` (every account of a domain of the owner's) give it
// together, less what entries with '-' in front take away. The owner is not asked about: he has all rights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/account.h"

namespace mox::storaged {

/// The entries of the mailboxes of an account that have any, by MailboxId.
using Shares = std::map<uint64_t, std::vector<proto::AclEntry>>;

/// Right bits of an account that is not the owner's.
uint32_t rights_for(const std::vector<proto::AclEntry>& entries, std::string_view account);
uint32_t rights_for(const Shares& shares, uint64_t mailbox, std::string_view account);
/// Whether any mailbox is shared with it.
bool shares_with(const Shares& shares, std::string_view account);

}  // namespace mox::storaged
