// Sets of message numbers as commands name them (RFC 3501 9 sequence-set), and the index ranges they come to in a
// mailbox.
//
// Pure values. A set keeps the ranges as written, `*` as 0, at most kMaxRanges of them; resolving gives ascending,
// disjoint ranges, so work done over a set never grows beyond the mailbox however often a number is repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mox::imapd {

constexpr size_t kMaxRanges = 20'000;  // of one set; a command line has no room for many more

/// `first:last` in any order; 0 is `*`.
struct SequenceRange {
    uint32_t first = 0;
    uint32_t last = 0;

    friend bool operator==(const SequenceRange&, const SequenceRange&) = default;
};

struct SequenceSet {
    std::vector<SequenceRange> ranges;
    bool saved = false;  // `$`: what the last SEARCH with SAVE found (RFC 5182 2.1); then there are no ranges

    friend bool operator==(const SequenceSet&, const SequenceSet&) = default;
};

/// The set with `*` replaced by `star`, each range in order, sorted, overlapping and adjacent ones joined.
std::vector<SequenceRange> normalise(const SequenceSet& set, uint32_t star);

/// Whether a normalised set holds the number; by binary search.
bool contains(std::span<const SequenceRange> normalised, uint32_t number);

/// Adds numbers one by one and writes them as a set, in the order given, neighbours joined: `1:3,7`.
class SetWriter {
  public:
    void add(uint32_t number);
    void add(uint32_t first, uint32_t last);
    std::string take();

  private:
    void write_run();
    std::string out_;
    uint32_t first_ = 0;
    uint32_t last_ = 0;
    bool open_ = false;
};

}  // namespace mox::imapd
