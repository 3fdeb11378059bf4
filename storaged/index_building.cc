// How the index of words grows: lists become segments, segments become larger ones. Each step is a part of one
// operation and takes some milliseconds.
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "common/log/log.h"
#include "storaged/gatherer.h"
#include "storaged/index_rows.h"
#include "storaged/text_index.h"

namespace mox::storaged {
namespace {

constexpr uint64_t kUsed = 0;  // segment.state
constexpr uint64_t kBeingMade = 1;
constexpr uint64_t kToBeRemoved = 2;
constexpr uint64_t kBlocksRemovedAtOnce = 32;
constexpr size_t kBacklog = 2;         // as many times the lists of a segment are taken when more wait: an import is on
constexpr size_t kSlicesPerBuild = 2;  // merged before more lists are made a segment, while both wait

/// The words of a segment from one on.
class Cursor {
  public:
    Cursor(Database& db, uint64_t segment, std::string_view after) : db_(db), segment_(segment) {
        auto row = db.query("SELECT max(id) FROM segment_words WHERE id BETWEEN ? AND ? AND first <= ?",
                            first_block(segment), last_block(segment), Blob{after});
        uint64_t block = row.next() && !row.is_null(0) ? row.number(0) : first_block(segment);
        load(block);
        while (item_ && item_->word <= after && !after.empty()) advance();
    }
    const std::optional<BlockReader::Item>& item() const { return item_; }
    void advance() {
        item_ = reader_->next();
        if (!item_) load(block_ + 1);
    }

  private:
    void load(uint64_t block) {
        block_ = block;
        item_.reset();
        auto row = db_.query("SELECT words FROM segment_words WHERE id = ?", block);
        if (block > last_block(segment_) || !row.next()) return;
        words_ = row.bytes(0);
        postings_ = postings_of(db_, block);
        reader_.emplace(words_, postings_);
        item_ = reader_->next();
    }
    Database& db_;
    uint64_t segment_;
    uint64_t block_ = 0;
    std::string words_;
    std::string postings_;
    std::optional<BlockReader> reader_;
    std::optional<BlockReader::Item> item_;
};

/// The postings of one word out of several segments, without contents that are gone.
std::string merge_postings(const std::vector<std::string_view>& lists, const std::vector<uint64_t>& dead) {
    if (lists.size() == 1 && dead.empty()) return std::string(lists.front());
    std::vector<Posting> postings;
    for (std::string_view list : lists) decode_postings(list, postings);
    std::erase_if(postings, [&](const Posting& p) { return std::ranges::binary_search(dead, p.content); });
    if (!std::ranges::is_sorted(postings, {}, &Posting::content)) std::ranges::sort(postings, {}, &Posting::content);
    size_t kept = 0;
    for (const Posting& posting : postings) {
        if (kept > 0 && postings[kept - 1].content == posting.content)
            postings[kept - 1].classes |= posting.classes;
        else
            postings[kept++] = posting;
    }
    postings.resize(kept);
    std::string encoded;
    encode_postings(postings, encoded);
    return encoded;
}

/// Gives the words of several segments in order, each once, with its postings.
class Merger {
  public:
    Merger(std::vector<uint64_t> segments, std::vector<uint64_t> dead)
        : segments_(std::move(segments)), dead_(std::move(dead)) {}
    void open(Database& db, std::string_view after) {
        for (uint64_t segment : segments_) {
            at_ = segment;
            cursors_.push_back(std::make_unique<Cursor>(db, segment, after));
        }
    }
    /// False at the end. Postings may be empty.
    bool next(std::string& word, std::string& postings) {
        const Cursor* first = nullptr;
        for (const auto& cursor : cursors_)
            if (cursor->item() && (first == nullptr || cursor->item()->word < first->item()->word))
                first = cursor.get();
        if (first == nullptr) return false;
        word = first->item()->word;
        lists_.clear();
        for (const auto& cursor : cursors_)
            if (has(*cursor, word)) lists_.push_back(cursor->item()->postings);
        postings = merge_postings(lists_, dead_);
        for (size_t i = 0; i < cursors_.size(); i++) {
            at_ = segments_[i];
            if (has(*cursors_[i], word)) cursors_[i]->advance();
        }
        return true;
    }
    /// The segment that was read last.
    uint64_t at() const { return at_; }

  private:
    static bool has(const Cursor& cursor, std::string_view word) {
        return cursor.item() && cursor.item()->word == word;
    }
    std::vector<uint64_t> segments_;
    std::vector<uint64_t> dead_;
    std::vector<std::unique_ptr<Cursor>> cursors_;
    std::vector<std::string_view> lists_;
    uint64_t at_ = 0;
};

/// How far a merge has come.
struct MergeState {
    std::vector<uint64_t> inputs;
    std::string after;
    std::vector<uint64_t> dead;
    uint64_t block;  // the next one
};

MergeState read_state(Database& db, uint64_t id) {
    MergeState state{{}, {}, {}, first_block(id)};
    auto inputs = db.query("SELECT id FROM segment WHERE target = ? ORDER BY id", id);
    while (inputs.next()) state.inputs.push_back(inputs.number(0));
    auto row = db.query("SELECT after, dead FROM segment WHERE id = ?", id);
    if (row.next()) state.after = row.bytes(0), state.dead = unpack_numbers(unseal(row.bytes(1)));
    auto last = db.query("SELECT max(id) + 1 FROM segment_words WHERE id BETWEEN ? AND ?", state.block, last_block(id));
    if (last.next() && !last.is_null(0)) state.block = last.number(0);
    return state;
}

std::vector<uint64_t> without(std::vector<uint64_t> numbers, const std::vector<uint64_t>& dead) {
    std::ranges::sort(numbers);
    numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
    std::erase_if(numbers, [&](uint64_t n) { return std::ranges::binary_search(dead, n); });
    return numbers;
}

uint64_t new_segment(Database& db, uint64_t level, uint64_t state, const std::vector<uint64_t>& contents,
                     const std::vector<uint64_t>& incomplete, const std::vector<uint64_t>& dead) {
    db.run(
        "INSERT INTO segment (level, state, target, contents, incomplete, dead, after) VALUES (?, ?, 0, ?, ?, ?, '')",
        level, state, Blob{seal(pack_numbers(contents))}, Blob{seal(pack_numbers(incomplete))},
        Blob{seal(pack_numbers(dead))});
    return static_cast<uint64_t>(db.last_id());
}

}  // namespace

bool TextIndex::step(Database& db) {
    looked_ = false;
    look(db);
    for (uint64_t id : std::exchange(damaged_, {})) give_up(db, id);
    bool wants_build = lists_ >= limits_.lists || list_bytes_ >= limits_.list_bytes;
    uint64_t id = 0;
    uint64_t state = 0;
    {
        auto row = db.query("SELECT id, state FROM segment WHERE state != 0 ORDER BY state DESC, id LIMIT 1");
        if (row.next()) id = row.number(0), state = row.number(1);
    }
    uint64_t level = id == 0 ? level_to_merge(db) : 0;
    bool may_merge = id != 0 || level != UINT64_MAX;
    if (wants_build && (!may_merge || slices_ >= kSlicesPerBuild)) {
        build(db);
        slices_ = 0;
    } else if (state == kToBeRemoved) {
        remove_some(db, id);
    } else if (state == kBeingMade) {
        merge_slice(db, id);
        slices_++;
    } else if (level != UINT64_MAX) {
        begin_merge(db, level);
        slices_++;
    } else {
        return false;
    }
    looked_ = false;
    return true;
}

void TextIndex::build(Database& db) {
    std::vector<std::pair<uint64_t, std::string>> lists;
    {
        size_t bytes = 0;
        auto rows = db.query("SELECT content, words FROM word_list ORDER BY content LIMIT ?", kBacklog * limits_.lists);
        while (rows.next() && (lists.empty() || bytes < kBacklog * limits_.list_bytes)) {
            lists.emplace_back(rows.number(0), rows.bytes(1));
            bytes += lists.back().second.size();
        }
    }
    Gatherer words;
    std::vector<uint64_t> contents;
    std::vector<uint64_t> incomplete;
    for (const auto& [content, list] : lists) {
        if (!mail::is_word_list(list)) continue;  // damaged, or of another version: not indexed
        contents.push_back(content);
        mail::WordListReader reader(list);
        if (!reader.is_complete()) incomplete.push_back(content);
        while (auto word = reader.next()) words.add(*word, content);
    }
    if (!lists.empty()) db.run("DELETE FROM word_list WHERE content <= ?", lists.back().first);
    if (contents.empty()) return;
    uint64_t block = first_block(new_segment(db, 0, kUsed, contents, incomplete, {}));
    BlockWriter writer;
    std::string encoded;
    words.for_each([&](std::string_view word, std::span<const Posting> postings) {
        encoded.clear();
        encode_postings(postings, encoded);
        writer.add(word, encoded);
        if (writer.is_full()) write_block(db, block++, writer.finish());
    });
    if (!writer.is_empty()) write_block(db, block, writer.finish());
}

/// UINT64_MAX: none.
uint64_t TextIndex::level_to_merge(Database& db) {
    auto row =
        db.query("SELECT level FROM segment WHERE state = 0 GROUP BY level HAVING count(*) >= ? ORDER BY level LIMIT 1",
                 limits_.fan);
    return row.next() ? row.number(0) : UINT64_MAX;
}

void TextIndex::begin_merge(Database& db, uint64_t level) {
    std::vector<uint64_t> ids;
    {
        auto rows =
            db.query("SELECT id FROM segment WHERE state = 0 AND level = ? ORDER BY id LIMIT ?", level, limits_.fan);
        while (rows.next()) ids.push_back(rows.number(0));
    }
    Segment merged;
    for (uint64_t id : ids) {
        try {
            Segment segment = load(db, id);
            merged.contents.insert(merged.contents.end(), segment.contents.begin(), segment.contents.end());
            merged.incomplete.insert(merged.incomplete.end(), segment.incomplete.begin(), segment.incomplete.end());
        } catch (const Damaged& damaged) {
            log::error("a segment of the index of words is damaged", {{"segment", id}, {"error", damaged.what()}});
            return give_up(db, id);
        }
    }
    auto [lowest, highest] = std::ranges::minmax(merged.contents);
    std::vector<uint64_t> dead;
    {
        auto rows = db.query("SELECT content FROM dead_content WHERE content BETWEEN ? AND ? ORDER BY content", lowest,
                             highest);
        while (rows.next()) dead.push_back(rows.number(0));
    }
    uint64_t target = new_segment(db, level + 1, kBeingMade, without(std::move(merged.contents), dead),
                                  without(std::move(merged.incomplete), dead), dead);
    for (uint64_t id : ids) db.run("UPDATE segment SET target = ? WHERE id = ?", target, id);
}

void TextIndex::merge_slice(Database& db, uint64_t id) {
    std::optional<Merger> merger;
    try {
        MergeState state = read_state(db, id);
        merger.emplace(state.inputs, state.dead);
        merger->open(db, state.after);
        BlockWriter writer;
        std::string word;
        std::string postings;
        for (size_t written = 0; merger->next(word, postings);) {
            if (!postings.empty()) writer.add(word, postings);
            if (!writer.is_full()) continue;
            Block full = writer.finish();
            written += full.words.size() + full.postings.size();
            write_block(db, state.block++, full);
            if (written < limits_.slice_bytes) continue;
            db.run("UPDATE segment SET after = ? WHERE id = ?", Blob{writer.last()}, id);
            return;
        }
        if (!writer.is_empty()) write_block(db, state.block, writer.finish());
        finish_merge(db, id, state.inputs, state.dead);
    } catch (const Damaged& damaged) {
        uint64_t segment = merger ? merger->at() : id;
        log::error("a segment of the index of words is damaged", {{"segment", segment}, {"error", damaged.what()}});
        give_up(db, segment);
    }
}

void TextIndex::finish_merge(Database& db, uint64_t id, const std::vector<uint64_t>& inputs,
                             const std::vector<uint64_t>& dead) {
    for (uint64_t input : inputs) db.run("UPDATE segment SET state = 2, target = 0 WHERE id = ?", input);
    for (uint64_t content : dead) db.run("DELETE FROM dead_content WHERE content = ?", content);
    bool is_empty = false;
    {
        auto row =
            db.query("SELECT 1 FROM segment_words WHERE id BETWEEN ? AND ? LIMIT 1", first_block(id), last_block(id));
        is_empty = !row.next();
    }
    db.run("UPDATE segment SET state = ?, after = '', dead = '' WHERE id = ?", is_empty ? kToBeRemoved : kUsed, id);
}

void TextIndex::remove_some(Database& db, uint64_t id) {
    uint64_t end = 0;
    {
        auto row =
            db.query("SELECT min(id) FROM segment_words WHERE id BETWEEN ? AND ?", first_block(id), last_block(id));
        if (row.next() && !row.is_null(0)) end = row.number(0) + kBlocksRemovedAtOnce;
    }
    bool all = end == 0 || end > last_block(id);
    if (all) end = first_block(id + 1);
    db.run("DELETE FROM segment_words WHERE id >= ? AND id < ?", first_block(id), end);
    db.run("DELETE FROM segment_postings WHERE id >= ? AND id < ?", first_block(id), end);
    if (all) db.run("DELETE FROM segment WHERE id = ?", id);
}

/// The segment is not used any more, nor what is being made of it.
void TextIndex::give_up(Database& db, uint64_t id) {
    uint64_t target = 0;
    {
        auto row = db.query("SELECT target FROM segment WHERE id = ?", id);
        if (row.next()) target = row.number(0);
    }
    db.run("UPDATE segment SET state = 2, target = 0 WHERE id = ?1 OR (id = ?2 AND ?2 != 0)", id, target);
    db.run("UPDATE segment SET target = 0 WHERE target = ?1 OR (target = ?2 AND ?2 != 0)", id, target);
    looked_ = false;
}

}  // namespace mox::storaged
