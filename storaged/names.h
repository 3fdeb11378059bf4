// The rules for names that become rows or directories: mailboxes, keywords, accounts. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"

namespace mox::storaged {

constexpr size_t kMaxMailboxDepth = 32;
constexpr size_t kMaxKeywordName = 100;

/// The name as it is stored: well-formed UTF-8 of at most proto::kMaxMailboxName bytes without control characters, its
/// levels (between '/') not empty, "." or "..", the first level "INBOX" whatever its case (RFC 3501 5.1). Else
/// bad_request.
Result<std::string> canonical_mailbox_name(std::string_view name);
/// The same, or the name of a mailbox of another account (proto::kOthers).
Result<std::string> canonical_subscription(std::string_view name);
/// The names of all mailboxes above, topmost first: "a/b/c" has "a" and "a/b".
std::vector<std::string> parents_of(std::string_view name);
/// A keyword: an atom (RFC 3501 9 flag-keyword) that is not a system flag.
bool is_keyword(std::string_view name);
/// Text to be shown: well-formed UTF-8 of so many bytes at most, without control characters.
bool is_printable(std::string_view text, size_t max);
/// An IPv4 or IPv6 address as text.
bool is_ip_address(const std::string& text);
/// Whether an account's name can be the name of its directory.
bool is_account_name(std::string_view name);

}  // namespace mox::storaged
