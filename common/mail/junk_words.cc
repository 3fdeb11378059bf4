#include "common/mail/junk_words.h"

#include <algorithm>

#include "common/mail/words.h"
#include "common/text/ascii.h"
#include "common/text/hash.h"

namespace mox::mail {
namespace {

constexpr size_t kShortest = 3;  // bytes
constexpr size_t kLongest = 40;

bool is_telling(std::string_view word) {
    return word.size() >= kShortest && word.size() <= kLongest && !std::ranges::all_of(word, text::is_digit);
}

uint64_t number_of(WordClass where, std::string_view word) {
    return text::hash64(static_cast<char>(where) + std::string(word));
}

}  // namespace

std::vector<uint64_t> junk_words(std::string_view word_list) {
    std::vector<uint64_t> numbers;
    WordListReader reader(word_list);
    while (auto word = reader.next()) {
        if (!is_telling(word->text)) continue;
        for (WordClass where : {kInBody, kInSubject, kInFrom})
            if ((word->classes & where) != 0) numbers.push_back(number_of(where, word->text));
    }
    std::ranges::sort(numbers);
    numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
    if (numbers.size() > kMaxJunkWords) numbers.resize(kMaxJunkWords);
    return numbers;
}

}  // namespace mox::mail
