// Writes what a message is like in the grammar of IMAP: strings, ENVELOPE, BODY and BODYSTRUCTURE.
//
// Pure functions that append to a string. The output is valid for any MessageInfo, also one whose limits were
// reached; its size is bounded by what MimeLimits let into it. Header values go out raw, as RFC 3501 7.4.2 wants.
// RFCs: 3501 7.4.2 and 9, 9051 (message/global), 6855 (UTF-8 in quoted strings).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/mail/address.h"
#include "common/mail/message_info.h"

namespace mox::mail {

/// `string` of RFC 3501 9: quoted if short printable ASCII, else a literal. UTF-8 may be quoted where the session
/// enabled it (Utf8::allowed, RFC 6855 3). NUL, which neither form can hold, becomes a space.
void append_string(std::string& out, std::string_view s, Utf8 utf8 = Utf8::forbidden);
/// As append_string; NIL for nothing.
void append_nstring(std::string& out, const std::optional<std::string>& s, Utf8 utf8 = Utf8::forbidden);
/// `astring` of RFC 3501 9: an atom where possible.
void append_astring(std::string& out, std::string_view s, Utf8 utf8 = Utf8::forbidden);

/// The ENVELOPE of a message, with its parentheses. Sender and reply-to default to from (RFC 3501 7.4.2).
void append_envelope(std::string& out, const Envelope& envelope, Utf8 utf8 = Utf8::forbidden);

/// BODY, or BODYSTRUCTURE with its extension data.
enum class BodyForm : uint8_t { body, bodystructure, kEnd };
/// Whether message/global is written like message/rfc822 (RFC 9051 9) or as a basic type (RFC 3501 9).
enum class ImapRevision : uint8_t { rev1, rev2, kEnd };

/// The body structure of the part and all below it; `index` is 0 for the whole message.
void append_body(std::string& out, const MessageInfo& info, uint32_t index, BodyForm form, Utf8 utf8 = Utf8::forbidden,
                 ImapRevision revision = ImapRevision::rev1);

}  // namespace mox::mail
