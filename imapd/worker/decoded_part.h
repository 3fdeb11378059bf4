// The content of a part with its transfer encoding undone, in pieces from the message's file.
//
// Memory is one piece. RFC 2045 6, RFC 3516 4.2 (BINARY).
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "common/mail/transfer.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// Undoes a transfer encoding; what is unknown passes unchanged.
class TransferDecoder {
  public:
    explicit TransferDecoder(mail::TransferEncoding encoding);
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    std::variant<std::monostate, mail::Base64Decoder, mail::QuotedPrintableDecoder> decoder_;
};

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
    TransferDecoder decoder_;
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
