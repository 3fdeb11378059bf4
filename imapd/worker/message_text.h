// The text of a message as people read it, for searching: header fields and text parts, decoded to UTF-8.
//
// Streams from the message's file in pieces: transfer encoding, charset, then the WordFinder. Memory is bounded by the
// piece. RFCs: 2045 (encodings), 2046 4.1, 2047 (encoded words), 3501 6.4.4 (BODY, TEXT).
#pragma once

#include "imapd/worker/search_text.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// Feeds the fields of the message's header, decoded.
void read_header_text(const StoredMessage& message, WordFinder& finder);
/// Feeds one text part, given by its index, or the header of an embedded message.
void read_part_text(const StoredMessage& message, uint32_t part, WordFinder& finder);
/// Whether the header has a field of this name that holds the word (folded); with an empty word, whether it has the
/// field.
bool header_holds(const StoredMessage& message, std::string_view field, std::string_view word);

}  // namespace mox::imapd
