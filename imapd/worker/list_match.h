// Matching of mailbox names with the patterns of LIST: `*` for anything, `%` for anything but "/" (RFC 3501 6.3.8).
#pragma once

#include <string_view>

namespace mox::imapd {

/// Bounded work: the product of both lengths at worst, whatever the pattern.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace mox::imapd
