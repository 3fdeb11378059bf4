// Gatherer: the postings of many words, gathered content by content, for a segment that is made of lists.
//
// Memory is what the lists have, some times over: their bytes are not copied. Flat arrays and a table of its own,
// because most of the cost of the index is here.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <sodium.h>
#include <span>
#include <string_view>
#include <vector>
#include <xxhash.h>

#include "storaged/segment.h"

namespace mox::storaged {

class Gatherer {
  public:
    Gatherer() : table_(kFirstSlots) { randombytes_buf(&seed_, sizeof seed_); }
    /// Contents ascend. The list outlives this.
    void add(const mail::Word& word, uint64_t content) {
        Entry& entry = find(word.text);
        if (entry.postings > 0 && postings_[entry.last].posting.content == content) {
            postings_[entry.last].posting.classes |= word.classes;
            return;
        }
        entry.postings++;
        entry.last = static_cast<uint32_t>(postings_.size());
        postings_.push_back({{content, word.classes}, static_cast<uint32_t>(&entry - entries_.data())});
    }
    /// Gives each word with its postings, in order.
    template <class F>
    void for_each(F take) {
        std::vector<uint32_t> begin(entries_.size() + 1);
        for (size_t i = 0; i < entries_.size(); i++) begin[i + 1] = begin[i] + entries_[i].postings;
        std::vector<Posting> sorted(postings_.size());
        std::vector<uint32_t> at = begin;
        for (const Item& item : postings_) sorted[at[item.word]++] = item.posting;
        std::vector<uint32_t> order(entries_.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::sort(order, [&](uint32_t a, uint32_t b) { return entries_[a].less(entries_[b]); });
        for (uint32_t i : order) take(entries_[i].word, std::span(sorted).subspan(begin[i], entries_[i].postings));
    }

  private:
    static constexpr size_t kFirstSlots = 1u << 14;  // a power of two
    struct Entry {
        std::string_view word;
        uint64_t head;  // its first bytes, as a number that sorts like them
        uint64_t hash;
        uint32_t postings;
        uint32_t last;  // in postings_
        bool less(const Entry& other) const { return head != other.head ? head < other.head : word < other.word; }
    };
    struct Item {
        Posting posting;
        uint32_t word;
    };
    static uint64_t head_of(std::string_view word) {
        uint64_t head = 0;
        std::memcpy(&head, word.data(), std::min(word.size(), sizeof head));
        return std::endian::native == std::endian::little ? std::byteswap(head) : head;
    }
    Entry& find(std::string_view word) {
        uint64_t hash = XXH3_64bits_withSeed(word.data(), word.size(), seed_);
        size_t slot = hash & (table_.size() - 1);
        for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
            Entry& entry = entries_[table_[slot] - 1];
            if (entry.hash == hash && entry.word == word) return entry;
        }
        entries_.push_back({word, head_of(word), hash, 0, 0});
        table_[slot] = static_cast<uint32_t>(entries_.size());
        if (entries_.size() * 2 > table_.size()) grow();
        return entries_.back();
    }
    void grow() {
        table_.assign(table_.size() * 4, 0);
        for (size_t i = 0; i < entries_.size(); i++) {
            size_t slot = entries_[i].hash & (table_.size() - 1);
            while (table_[slot] != 0) slot = (slot + 1) & (table_.size() - 1);
            table_[slot] = static_cast<uint32_t>(i + 1);
        }
    }

    uint64_t seed_ = 0;            // who writes mail must not know which words collide
    std::vector<uint32_t> table_;  // by hash, an entry's number and one
    std::vector<Entry> entries_;
    std::vector<Item> postings_;
};

}  // namespace mox::storaged
