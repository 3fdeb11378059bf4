// The text of a message as people read it: header fields and text parts, decoded to UTF-8.
//
// One definition for all who look for words, now or later: a search that reads messages and the index that answers for
// it must see the same texts. A text part streams in pieces: transfer encoding, charset, HTML to text, then the sink;
// memory is bounded by the piece. The same bytes give the same pieces, whoever reads them. RFCs: 2045 (encodings), 2046
// 4.1, 2047 (encoded words), 3501 6.4.4 (BODY, TEXT).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/mail/message_info.h"

namespace mox::mail {

/// Reads at most `into.size()` bytes at an offset; 0 at the end or when that fails.
using ReadAt = std::function<size_t(uint64_t offset, std::span<char> into)>;

/// Takes texts.
class TextSink {
  public:
    virtual ~TextSink() = default;
    /// Another text begins: nothing reaches over from the one before.
    virtual void begin_text() = 0;
    /// The next piece, which does not end inside a character if the text is sound.
    virtual void add_text(std::string_view piece) = 0;
    /// Whether it needs no more.
    virtual bool has_enough() const { return false; }
};

constexpr size_t kMaxHeaderText = 1 << 20;  // bytes of one header looked at

/// A message to be read: `read` gives the bytes of the whole, whose first `shift` are not part of what was parsed.
struct TextSource {
    const MessageInfo& info;
    const ReadAt& read;
    uint64_t shift = 0;
};

/// Reads a range into memory, at most `max` bytes of it.
std::string read_range(const ReadAt& read, uint64_t offset, uint64_t length, size_t max);
/// The header of the message, with what stands in front of it, up to kMaxHeaderText.
std::string root_header(const TextSource& source);
/// The value of a field, unfolded and decoded.
std::string decoded_value(std::string_view raw_value);

/// Gives each field of a header as a text, `Name: value`.
void read_header_fields(std::string_view header, TextSink& sink);
/// How a part was read.
enum class PartText : uint8_t { none, decoded, unknown_charset, kEnd };
/// Gives one text part, by its index, and the header of an embedded message that begins there.
PartText read_part_text(const TextSource& source, uint32_t index, TextSink& sink);

/// The fields of an envelope that can be searched by themselves.
enum class EnvelopeField : uint8_t { subject, from, to, cc, bcc, kEnd };
/// Decoded: of addresses `name localpart@host`, each in a line.
std::string envelope_text(const Envelope& envelope, EnvelopeField field);

}  // namespace mox::mail
