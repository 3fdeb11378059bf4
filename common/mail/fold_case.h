// Folding of case, for comparing text as people do: i;unicode-casemap (RFC 5051), which IMAP's searches, sorting and
// threads use (RFC 5255 4.5).
//
// Each character becomes its titlecase, and that is taken apart into the characters it is composed of: so "é" is the
// same however it is written. ASCII letters become capitals. Text is UTF-8; what is not passes unchanged. Folding what
// is folded changes nothing, and the fold of a text is that of its characters one after the other.
// DEVIATES RFC 5051 2: what a character is taken apart into is titlecased as well, so that a ligature equals its
// letters.
#pragma once

#include <string>
#include <string_view>

namespace mox::mail {

/// Appends `text` folded. It may become eleven times as long, hardly ever does.
void fold_case(std::string_view text, std::string& out);
std::string fold_case(std::string_view text);

}  // namespace mox::mail
