// The words of a message as a junk filter counts them: numbers made of words and the places they stand in.
//
// Made from the list of words.h, so whoever has that need not read the message again. A number is a hash, kept on disk
// in counts, so how it is made never changes; two words with one number are counted together, which does little harm.
// Of a message with too many words those with the smallest numbers are taken: the same ones of every message that has
// them. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mox::mail {

constexpr size_t kMaxJunkWords = 1000;  // of a message

/// The numbers of the words of a list that is_word_list(), ascending, each once. Words of Subject and From are told
/// from those of the text; other header fields, numbers and very short or long words are left out.
std::vector<uint64_t> junk_words(std::string_view word_list);

}  // namespace mox::mail
