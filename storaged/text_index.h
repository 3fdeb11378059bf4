// TextIndex: which words the messages of an account have, so that a search need not read them all.
//
// What it knows of a content came with it as a word list (common/mail/words.h) from the process that parsed it. Lists
// wait in the table `word_list`, in the commit of their message; when enough wait they become a segment: sorted blocks
// of words with their postings (segment.h). Segments of one size become one of the next, a slice in each operation. All
// of it is rows in ordinary transactions: a crash leaves it as of some commit. The index may lack contents, and then
// says so; what it says of the others is true. It may be dropped at any time, for whoever reads messages in a search
// sends the words of those it lacks.
//
// Runs in the worker threads, inside a strand's operations. A segment is in one of three states: used; being made from
// those that have it as their target, which go on being used; or to be removed, a piece at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proto/account.h"
#include "storaged/counters.h"
#include "storaged/segment.h"
#include "storaged/sql.h"
#include "storaged/store.h"

namespace mox::storaged {

/// One bit for each content of a range.
class ContentSet {
  public:
    ContentSet(uint64_t first, uint64_t count) : first_(first), count_(count), words_((count + 63) / 64) {}
    void add(uint64_t content) {
        uint64_t bit = content - first_;
        if (content >= first_ && bit < count_) words_[bit / 64] |= uint64_t{1} << bit % 64;
    }
    void keep_common(const ContentSet& other) {
        for (size_t i = 0; i < words_.size(); i++) words_[i] &= other.words_[i];
    }
    bool has(uint64_t content) const {
        uint64_t bit = content - first_;
        return content >= first_ && bit < count_ && (words_[bit / 64] >> bit % 64 & 1) != 0;
    }
    const std::vector<uint64_t>& words() const { return words_; }

  private:
    uint64_t first_;
    uint64_t count_;
    std::vector<uint64_t> words_;
};

/// What was found, as bitmaps.
struct TextHits {
    uint64_t first = 0;
    uint64_t count = 0;
    std::vector<proto::KeyAnswer> keys;
    std::vector<ContentSet> sets;  // indexed, complete, then one a key
};

class TextIndex {
  public:
    explicit TextIndex(const IndexLimits& limits) : limits_(limits) {}

    /// The words of a content that comes into the store.
    void add(Database& db, uint64_t content, std::string_view words);
    /// The content is gone.
    void remove(Database& db, uint64_t content);
    /// Adds those that are in no list and no segment.
    void add_missing(Database& db, const std::vector<proto::ContentWords>& contents);
    /// Forgets all.
    void drop(Database& db);

    /// Whether there is something for step() to do.
    bool is_due(Database& db);
    /// Does some of what is to be done: makes a segment of lists, merges a slice, removes some. False when nothing was
    /// left.
    bool step(Database& db);

    /// Contents in [first, first + count).
    Result<TextHits> find(Database& db, const std::vector<proto::TextKey>& keys, uint64_t first, uint64_t count);

    /// Looks at the waiting lists and at the first segment from `from` on, and reports what is damaged; the segment to
    /// go on with, 0 at the end.
    using Report = std::function<void(std::string)>;
    uint64_t check(Database& db, uint64_t from, Repair repair, const Report& report);

  private:
    struct Search;
    struct Segment {
        uint64_t id = 0;
        uint64_t level = 0;
        uint64_t target = 0;
        std::vector<uint64_t> contents;
        std::vector<uint64_t> incomplete;
    };
    // text_index.cc
    void look(Database& db);
    std::vector<uint64_t> segment_ids(Database& db);
    Segment load(Database& db, uint64_t id);
    void search_segment(Database& db, uint64_t id, Search& search);
    void search_lists(Database& db, Search& search);
    void check_lists(Database& db, Repair repair, const Report& report);
    void check_segment(Database& db, uint64_t id);
    // index_building.cc
    void build(Database& db);
    void begin_merge(Database& db, uint64_t level);
    void merge_slice(Database& db, uint64_t id);
    void finish_merge(Database& db, uint64_t id, const std::vector<uint64_t>& inputs,
                      const std::vector<uint64_t>& dead);
    uint64_t level_to_merge(Database& db);
    void remove_some(Database& db, uint64_t id);
    void give_up(Database& db, uint64_t id);

    const IndexLimits& limits_;
    // As of the last look, no more than are enough for a segment, and what was added since: an operation that is undone
    // leaves them too high.
    bool looked_ = false;
    size_t lists_ = 0;
    size_t list_bytes_ = 0;
    bool unfinished_ = false;  // segments are being made or removed
    size_t slices_ = 0;        // merged since the last segment was made of lists
    std::set<uint64_t> damaged_;
};

}  // namespace mox::storaged
