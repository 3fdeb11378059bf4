#include "imapd/worker/search_text.h"

#include <algorithm>
#include <cstring>

namespace mox::imapd {
WordFinder::WordFinder(const std::vector<std::string>& words)
    : words_(words), found_(words.size()), left_(words.size()) {
    for (size_t i = 0; i < words_.size(); i++) {
        longest_ = std::max(longest_, words_[i].size());
        if (!words_[i].empty()) continue;
        found_[i] = 1;  // RFC 3501 6.4.4: every text holds the empty string
        left_--;
    }
}

void WordFinder::feed(std::string_view text) {
    if (all_found()) return;
    fold_case(text, kept_);
    for (size_t i = 0; i < words_.size(); i++) {
        if (found_[i]) continue;
        if (memmem(kept_.data(), kept_.size(), words_[i].data(), words_[i].size()) == nullptr) continue;
        found_[i] = 1;
        left_--;
    }
    // What a word may have begun in.
    if (kept_.size() >= longest_) kept_.erase(0, kept_.size() - (longest_ - 1));
}

}  // namespace mox::imapd
