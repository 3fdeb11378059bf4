// Changes of domains.conf by programs that leave everything else as a person wrote it: comments, order, blanks.
//
// Every function takes the text of the file and returns the new text, which parse_domains() reads without an error;
// the caller still has to validate() it with mox.conf, and to write it to disk. A comment that stands directly
// above a statement, or behind it in its last line, belongs to it and goes with it.
//
// Errors: exists and not_found for what is to be added or removed; bad_request when the text as it is, or what is to
// be added, is not a good configuration.
#pragma once

#include <string>
#include <string_view>

#include "common/config/model.h"
#include "common/error.h"

namespace mox::config {

/// Adds the domain after the last one.
Result<std::string> add_domain(std::string_view text, const Domain& domain);

/// Removes the domain, and its addresses from all accounts.
Result<std::string> remove_domain(std::string_view text, std::string_view name);

/// Adds the account after the last one.
Result<std::string> add_account(std::string_view text, const Account& account);

/// Removes the account and with it its addresses.
Result<std::string> remove_account(std::string_view text, std::string_view name);

/// Adds the address after the last one of the account.
Result<std::string> add_address(std::string_view text, std::string_view account, const Address& address);

/// Removes the address ("alice@example.org", "*@example.org") from the account that has it. Addresses are compared in
/// canonical form.
Result<std::string> remove_address(std::string_view text, std::string_view address);

}  // namespace mox::config
