// Mail addresses as SMTP speaks them: mailboxes, reverse and forward paths, domains in ASCII and Unicode.
//
// Pure functions over text. An Address is stored unquoted, its domain in lower case; to_string() quotes again where
// needed, so parse_address(to_string(a)) == a for every address that was parsed. Localparts are kept byte for byte:
// they are NOT brought to Unicode NFC (RFC 6532 3.1 asks it of the one who creates the address); who compares
// non-ASCII localparts compares bytes.
// RFCs: 5321 4.1.2, 4.1.3, 4.5.3.1; 6531 3.3; 5891 (by libidn2). Address lists of headers: address_list.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/error.h"

namespace mox::mail {

/// Whether UTF-8 may stand in local part and domain (the session negotiated SMTPUTF8, RFC 6531 3.1).
enum class Utf8 : uint8_t { forbidden, allowed, kEnd };

/// A mailbox. `localpart` is unquoted and unescaped, `domain` in lower case: a name, with U-labels kept as U-labels,
/// or an address literal in brackets.
struct Address {
    std::string localpart;
    std::string domain;

    friend bool operator==(const Address&, const Address&) = default;
};

enum class PathKind : uint8_t {
    mailbox,
    null,        // <>: no sender, nobody to notify (RFC 5321 4.5.5)
    postmaster,  // <postmaster> without domain (RFC 5321 4.5.1); the localpart as given, no domain
    kEnd
};

/// What stands in MAIL FROM:<...> or RCPT TO:<...>.
struct Path {
    PathKind kind = PathKind::mailbox;
    Address address;

    friend bool operator==(const Path&, const Path&) = default;
};

inline constexpr size_t kMaxLocalpart = 128;  // DEVIATES RFC 5321 4.5.3.1.1 (64): list software makes longer ones
inline constexpr size_t kMaxDomain = 255;     // RFC 5321 4.5.3.1.2
inline constexpr size_t kMaxPath = 256;       // RFC 5321 4.5.3.1.3, counted without a source route

/// A whole `localpart@domain`, quoted where needed (Mailbox of RFC 5321 4.1.2). Permanent errors.
Result<Address> parse_address(std::string_view text, Utf8 utf8);

/// A whole path with its angle brackets. Source routes are accepted and dropped (RFC 5321 4.1.1.3, appendix C).
Result<Path> parse_path(std::string_view text, Utf8 utf8);

/// As parse_path, for a path at the start of `text`, which is moved past it (MAIL and RCPT parameters follow).
Result<Path> take_path(std::string_view& text, Utf8 utf8);

/// Checks a domain name or address literal and returns it as Address.domain holds it (RFC 5321 4.1.2, 4.1.3).
/// DEVIATES RFC 5321 4.1.2: underscores are accepted in labels, there are such hosts.
Result<std::string> parse_domain(std::string_view text, Utf8 utf8);

/// The address for a protocol or a header; the localpart is quoted only where it must be. No angle brackets.
std::string to_string(const Address& address);
/// The path with its angle brackets.
std::string to_string(const Path& path);

/// A domain with all its U-labels as A-labels, in lower case (RFC 5891 4, through libidn2). Literals are unchanged.
Result<std::string> domain_to_ascii(std::string_view domain);
/// A domain with all its A-labels as U-labels. Literals are unchanged.
Result<std::string> domain_to_unicode(std::string_view domain);

/// Same domain, whatever the case and the form (A-label or U-label) of each.
bool same_domain(std::string_view a, std::string_view b);
/// Same domain and same bytes in the localpart (RFC 5321 2.4: localparts are case sensitive to all but their host).
bool same_address(const Address& a, const Address& b);
/// As same_address, but ASCII letters of the localpart compare without case; for the mailboxes' own host.
bool same_address_ignoring_case(const Address& a, const Address& b);
/// True if neither part needs SMTPUTF8. A domain with U-labels does not once it is turned to ASCII.
bool is_ascii(const Address& address);

}  // namespace mox::mail
