#include "imapd/grammar/sequence_set.h"

#include <algorithm>

namespace mox::imapd {

std::vector<SequenceRange> normalise(const SequenceSet& set, uint32_t star) {
    std::vector<SequenceRange> sorted;
    sorted.reserve(set.ranges.size());
    for (auto [first, last] : set.ranges) {
        if (first == 0) first = star;
        if (last == 0) last = star;
        sorted.push_back({std::min(first, last), std::max(first, last)});  // RFC 3501 9: 2:4 and 4:2 are equivalent
    }
    std::ranges::sort(sorted, {}, &SequenceRange::first);
    std::vector<SequenceRange> out;
    for (const auto& range : sorted) {
        if (!out.empty() && (range.first <= out.back().last || range.first == out.back().last + 1)) {
            out.back().last = std::max(out.back().last, range.last);
        } else {
            out.push_back(range);
        }
    }
    return out;
}

bool contains(std::span<const SequenceRange> normalised, uint32_t number) {
    auto after = std::ranges::upper_bound(normalised, number, {}, &SequenceRange::first);
    return after != normalised.begin() && number <= std::prev(after)->last;
}

void SetWriter::add(uint32_t number) {
    add(number, number);
}

void SetWriter::add(uint32_t first, uint32_t last) {
    if (open_ && first == last_ + 1) {
        last_ = last;
        return;
    }
    if (open_) write_run();
    first_ = first;
    last_ = last;
    open_ = true;
}

void SetWriter::write_run() {
    if (!out_.empty()) out_ += ',';
    out_ += std::to_string(first_);
    if (last_ != first_) out_ += ':' + std::to_string(last_);
}

std::string SetWriter::take() {
    if (open_) write_run();
    open_ = false;
    return std::move(out_);
}

}  // namespace mox::imapd
