// The header lines a server puts in front of a message.
#pragma once

#include <string>

#include "common/mail/date.h"

namespace mox::smtpd {

/// What the Received field says (RFC 5321 4.4).
struct TraceFacts {
    std::string from;  // hello name, and its address in brackets; empty: submitted, not told
    std::string by;    // this host
    std::string with;  // ESMTPS ... (RFC 3848, RFC 6531)
    std::string id;
    std::string tls;          // version and cipher, empty without
    std::string for_address;  // empty: not told
    mail::DateTime when;
};
std::string received_field(const TraceFacts& facts);

enum class Extended : bool { no, yes };
enum class Encrypted : bool { no, yes };
enum class Authenticated : bool { no, yes };
enum class Internationalized : bool { no, yes };
/// The protocol name in "with" (RFC 3848; RFC 6531 section 4.3).
std::string with_protocol(Extended extended, Encrypted encrypted, Authenticated authenticated, Internationalized utf8);

}  // namespace mox::smtpd
