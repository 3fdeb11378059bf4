// Domains in addresses: names, internationalised names, address literals.
//
// The functions themselves are declared in address.h, which is what others include; this header holds the two
// checks that the address parser shares with domain.cc. Memory: names above 255 bytes are refused before libidn2
// sees them. RFCs: 1123 2.1, 5321 4.1.2 and 4.1.3, 5890-5893 (libidn2, non-transitional).
#pragma once

#include <string_view>

#include "common/mail/address.h"

namespace mox::mail {

/// A name of letters, digits, hyphens and underscores in labels of 1 to 63 bytes, at most 253 in all.
bool is_ascii_domain(std::string_view name);
/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` in normal form (RFC 5321 4.1.3); other tags are refused.
Result<std::string> parse_literal(std::string_view text);

}  // namespace mox::mail
