// The content of a part with its transfer encoding undone, in pieces from the message's file.
//
// Memory is one piece. RFC 2045 6, RFC 3516 4.2 (BINARY).
#pragma once

#include <string>
#include <string_view>

#include "common/mail/transfer.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// Reads a range of a message, decoded.
class DecodedReader {
  public:
    DecodedReader(const StoredMessage& message, mail::Range range, mail::TransferEncoding encoding)
        : message_(message), range_(range), decoder_(encoding) {}
    /// The next piece, valid until the next call; empty at the end, also when the file fails.
    std::string_view next();

  private:
    const StoredMessage& message_;
    mail::Range range_;
    mail::TransferDecoder decoder_;
    std::string raw_;
    std::string decoded_;
    bool finished_ = false;
};

/// The encoding of the part that a section of the binary form names: that of a multipart, of a message and of the whole
/// is identity.
mail::TransferEncoding encoding_of(const StoredMessage& message, const Section& section);

/// What all of it comes to.
struct DecodedSize {
    uint64_t bytes = 0;
    bool has_nul = false;
};
DecodedSize measure(DecodedReader reader);

}  // namespace mox::imapd
