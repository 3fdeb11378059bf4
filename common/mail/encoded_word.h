// Header text with encoded words (=?charset?B?...?=) to UTF-8.
//
// A pure function, tolerant: bytes of neighbouring words in one charset are joined before the conversion, so a
// character cut over two words survives; unknown charsets and malformed words stay as written. Output is bounded and
// well-formed UTF-8. RFCs: 2047, 2231 5 (language tag).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mox::mail {

/// Decodes a field value (folded or not) or a display name. The result has at most `max_bytes`.
std::string decode_encoded_words(std::string_view text, size_t max_bytes = 64 * 1024);

}  // namespace mox::mail
