// Content-Transfer-Encodings: streaming decoders, and the base64 that our own messages need.
//
// The decoders are fed any split of the encoded bytes and append to a string; they keep at most a few bytes (for
// quoted-printable: one run of blanks) between calls and never fail: what is not valid is skipped or kept as it is.
// RFCs: 2045 6.7 and 6.8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/text/base64.h"

namespace mox::mail {

/// Tolerant base64: whatever is not in the alphabet is skipped (RFC 2045 6.8), `=` ends a group and more may follow.
class Base64Decoder {
  public:
    void feed(std::string_view in, std::string& out);
    /// Writes the whole bytes of an unfinished last group.
    void finish(std::string& out);

  private:
    uint32_t bits_ = 0;
    uint8_t count_ = 0;  // characters in bits_, 0 to 3
};

/// Tolerant quoted-printable (RFC 2045 6.7): malformed escapes stay as they are, blanks at line ends go.
class QuotedPrintableDecoder {
  public:
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    void take(char c, std::string& out);
    void take_escape(char c, std::string& out);

    std::string pending_;  // blanks seen, or an escape from its '=' on
};

/// The encodings known here.
enum class TransferEncoding : uint8_t { identity, base64, quoted_printable, unknown, kEnd };

/// By the value of Content-Transfer-Encoding, without case; 7bit, 8bit, binary and nothing are identity.
TransferEncoding parse_transfer_encoding(std::string_view value);

/// Undoes any of them; what is unknown passes unchanged.
class TransferDecoder {
  public:
    explicit TransferDecoder(TransferEncoding encoding);
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    std::variant<std::monostate, Base64Decoder, QuotedPrintableDecoder> decoder_;
};

/// Base64 in lines of 76 characters with CRLF after each (RFC 2045 6.8).
std::string encode_base64_lines(std::string_view bytes);
// One line, with padding: encode_base64 of common/text.
using text::encode_base64;

/// The byte that the first two characters, hexadecimal digits of any case, name.
std::optional<char> hex_byte(std::string_view digits);

}  // namespace mox::mail
