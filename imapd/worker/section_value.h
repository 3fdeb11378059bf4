// What a section of a message is, written to the client: for FETCH and URLFETCH.
//
// Content goes from the file to the client in pieces, so memory does not depend on the message. RFC 3501 7.4.2, 3516
// 4.2, 9051 7.5.2 (BINARY).
#pragma once

#include <string>

#include "imapd/worker/session.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// How it went: `unknown_encoding` was answered with NIL (RFC 3516 4.3).
enum class Written : uint8_t { done, unknown_encoding, kEnd };

/// Appends the value of a section to what is written so far, and hands that to the stream before content that goes
/// there directly; what is left in `out` is to be written behind it. NIL, or 0 for a size, when there is no such part.
/// The message must be readable (StoredMessage::is_readable): when it is not, the connection ends.
async::Task<Written> write_section_value(Session& session, std::string& out, const StoredMessage& message,
                                         const Section& section);

}  // namespace mox::imapd
