// The texts of a stored message, for searching (common/mail/message_text.h).
#pragma once

#include "common/mail/message_text.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// Reads a message that outlives this: prefix and file as one.
class MessageText {
  public:
    explicit MessageText(const StoredMessage& message);
    MessageText(const MessageText&) = delete;
    MessageText& operator=(const MessageText&) = delete;
    const mail::TextSource& source() const { return source_; }

  private:
    mail::ReadAt read_;
    mail::TextSource source_;
};

/// Whether the header has a field of this name that holds the word (folded); with an empty word, whether it has the
/// field.
bool header_holds(const StoredMessage& message, std::string_view field, std::string_view word);

}  // namespace mox::imapd
