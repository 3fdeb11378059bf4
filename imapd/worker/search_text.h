// Finding several words at once in text that comes in pieces.
//
// Text is UTF-8; what is not passes unchanged. Memory is bounded by the pieces and the words. RFC 3501 6.4.4.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/mail/fold_case.h"
#include "common/mail/message_text.h"

namespace mox::imapd {

using mail::fold_case;

/// Looks for words (folded already) in a text that is fed piece by piece, each piece ending at the end of a character.
class WordFinder : public mail::TextSink {
  public:
    explicit WordFinder(const std::vector<std::string>& words);
    /// Begins another text: words do not reach over from the one before.
    void restart() { kept_.clear(); }
    void feed(std::string_view text);
    bool found(size_t word) const { return found_[word]; }
    bool all_found() const { return left_ == 0; }

    void begin_text() override { restart(); }
    void add_text(std::string_view piece) override { feed(piece); }
    bool has_enough() const override { return all_found(); }

  private:
    const std::vector<std::string>& words_;
    std::vector<char> found_;
    size_t left_;
    size_t longest_ = 0;
    std::string kept_;  // folded end of the text so far, then the new piece
};

}  // namespace mox::imapd
