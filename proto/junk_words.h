// The words of an account's junk and of its other mail: how often each was seen where.
//
// A word is a number (common/mail/junk_words.h): storaged neither parses mail nor knows what it means. What a message
// is learned as follows the flags $Junk and $NotJunk. Messages to be learned are listed to the account's worker, which
// reads them and says their words; storaged takes them in the transaction that notes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mox::proto {

constexpr size_t kMaxJunkWords = 1000;   // of a message, and asked for at once
constexpr size_t kMaxLearnedAtOnce = 8;  // messages in one LearnMessages

/// What the words of a message count as.
enum class JunkClass : uint8_t { none, not_junk, junk, kEnd };

struct LearnedMessage {
    uint64_t content;
    JunkClass was;  // as it was told: storaged takes the words only while both are still so
    JunkClass wanted;
    std::vector<uint64_t> words;  // ascending, each once, at most kMaxJunkWords; the same each time, for what was
                                  // learned is unlearned by them
};

struct WordCount {
    uint32_t junk;  // messages that have the word
    uint32_t not_junk;
};
struct WordCounts {
    uint64_t junk;  // messages that were learned
    uint64_t not_junk;
    std::vector<WordCount> words;  // as asked for
};

struct JunkStatus {
    uint64_t junk;  // messages that were learned
    uint64_t not_junk;
    uint64_t words;    // that are kept
    uint64_t waiting;  // messages to be learned, or unlearned
};

}  // namespace mox::proto
