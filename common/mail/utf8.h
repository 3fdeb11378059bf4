// UTF-8: checking and repairing. Used by everything that turns bytes of strangers into text.
//
// Strict as RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Entry points: is_utf8, repair_utf8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mox::mail {

/// Length in bytes of the well-formed UTF-8 character at the start of `s` (RFC 3629 4); 0 if there is none.
size_t utf8_length(std::string_view s);
/// Decodes the character at the start of `s`, whose length utf8_length() gave and was not 0.
char32_t utf8_decode(std::string_view s, size_t length);
/// True if all of `s` is well-formed; so is the empty string.
bool is_utf8(std::string_view s);
/// `s` with each byte that belongs to no character replaced by U+FFFD. At most three times as long.
std::string repair_utf8(std::string_view s);
/// Appends a character; surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(std::string& out, char32_t c);
/// The longest prefix of `s` of at most `max` bytes that does not end inside a character.
std::string_view cut_utf8(std::string_view s, size_t max);

}  // namespace mox::mail
