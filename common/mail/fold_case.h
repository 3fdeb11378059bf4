// Folding of case, for comparing text as people do.
//
// Text is UTF-8; what is not passes unchanged. Folded are ASCII letters and the letters of Latin, Greek and Cyrillic
// whose case is a fixed distance in Unicode; other scripts pass unchanged. Folding what is folded changes nothing, and
// the fold of a text is that of its characters one after the other.
#pragma once

#include <string>
#include <string_view>

namespace mox::mail {

/// Appends `text` with its letters in lower case.
void fold_case(std::string_view text, std::string& out);
std::string fold_case(std::string_view text);

}  // namespace mox::mail
