// The languages of the texts in answers: English, and i-default, which is the same (RFC 5255 3, RFC 2277 4.5).
//
// Nothing is remembered of what a client chose, for no text differs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mox::imapd {

/// The first range that means one of them, cut short at its hyphens until it does (RFC 4647 3.4): its tag.
std::optional<std::string_view> choose_language(const std::vector<std::string>& ranges);
/// The untagged answer, without `* ` and CRLF, to LANGUAGE with these ranges; nothing when none of them is to be had.
std::optional<std::string> language_answer(const std::vector<std::string>& ranges);

}  // namespace mox::imapd
