// The header block of a message: its fields one after the other, with names, raw values and byte ranges.
//
// Pure functions over bytes that the caller owns; the views point into them. Tolerant: lines may end in a bare LF, a
// line without a colon is a field without a name (its bytes still count), a block may lack its final empty line.
// Every byte of the block up to the empty line belongs to exactly one field. RFCs: 5322 2.2, 2.2.3, 4.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// One field. `value` is what stands after the colon, folding included, without the last line ending.
struct HeaderField {
    std::string_view name;  // empty if the line has no (valid) name
    std::string_view value;
    size_t begin = 0;  // offset of the first byte in the block
    size_t end = 0;    // offset after the line ending
};

/// Walks the fields of a header block; stops at the empty line.
class HeaderReader {
  public:
    explicit HeaderReader(std::string_view block) : block_(block) {}
    /// The next field, nothing at the end of the header.
    std::optional<HeaderField> next();
    /// Offset reached: after the last call of next(), where the empty line or the end of the block is.
    size_t position() const { return pos_; }

  private:
    std::string_view block_;
    size_t pos_ = 0;
};

/// Offset of the first byte after the empty line that ends the header; nothing if there is no such line yet.
std::optional<size_t> find_header_end(std::string_view bytes);
/// Splits one whole field (with or without its line ending) into name and value.
HeaderField parse_field(std::string_view field);
/// The value with folding undone: the CRLF (or LF) before white space goes, the white space stays (RFC 5322 2.2.3).
/// Other line breaks and NUL become spaces, blanks at both ends go.
std::string unfold(std::string_view value);
/// The first field of that name (without case).
std::optional<HeaderField> find_field(std::string_view block, std::string_view name);

}  // namespace mox::mail
