// The first words of a message, for lists of messages (PREVIEW, RFC 8970).
#pragma once

#include <string>
#include <string_view>

#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// At most 200 characters of UTF-8; empty when there is no text. Reads the beginning of one part.
std::string make_preview(const StoredMessage& message);
/// The same of decoded text: white space becomes one space each; quoted lines, what introduces them, and signatures are
/// left out of plain text, tags and their like of HTML.
std::string preview_of_plain(std::string_view text);
std::string preview_of_html(std::string_view text);

}  // namespace mox::imapd
