// What storaged's index of words says of the messages of an account, for the keys of one SEARCH.
//
// Bitmaps over the contents of the account, as they were when it was asked: of a content that came later nothing is
// known. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "proto/account.h"

namespace mox::imapd {

enum class Match : uint8_t { no, yes, unknown, kEnd };

class WordAnswers {
  public:
    /// Error internal when the answer to so many keys is not what it should be.
    static Result<WordAnswers> load(proto::TextFound found, size_t keys);

    /// Whether a content holds the text of a key.
    Match decide(size_t key, uint64_t content) const;
    bool is_indexed(uint64_t content) const { return has(kIndexed, content); }

  private:
    // Bitmaps: these two, then one for each key.
    static constexpr size_t kIndexed = 0;
    static constexpr size_t kComplete = 1;
    static constexpr size_t kKeys = 2;
    bool has(size_t bitmap, uint64_t content) const;
    uint64_t first_ = 0;
    uint64_t count_ = 0;
    std::vector<proto::KeyAnswer> keys_;
    std::vector<uint64_t> bits_;
};

}  // namespace mox::imapd
