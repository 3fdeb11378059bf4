// IMAP's modified UTF-7 for mailbox names. Strict both ways, so that every name has exactly one encoded form.
//
// Pure functions. RFC 3501 5.1.3 (a form of UTF-7, RFC 2152).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// UTF-8 to modified UTF-7. Nothing if `name` is not well-formed UTF-8.
std::optional<std::string> encode_utf7(std::string_view name);
/// Modified UTF-7 to UTF-8. Nothing if it is malformed or not in its one canonical form: bytes above 0x7e, an
/// unfinished shift, printable ASCII inside a shift, shifts that could be one, wrong padding, lone surrogates.
std::optional<std::string> decode_utf7(std::string_view name);

}  // namespace mox::mail
