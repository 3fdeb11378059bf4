#include "storaged/text_index.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "common/log/log.h"
#include "storaged/index_rows.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxBitmaps = 64u << 20;  // bytes of all bitmaps of one search

bool has_bytes(std::string_view in, std::string_view what) {
    return memmem(in.data(), in.size(), what.data(), what.size()) != nullptr;
}

}  // namespace

/// What is looked for, and found so far.
struct TextIndex::Search {
    struct Piece {
        mail::QueryPiece piece;
        uint8_t classes;
        ContentSet contents;
    };
    struct Key {
        proto::KeyAnswer answer;
        size_t first_piece;
        size_t pieces;
    };
    std::vector<Piece> pieces;
    std::vector<Key> keys;
    ContentSet indexed;
    ContentSet complete;

    Search(uint64_t first, uint64_t count) : indexed(first, count), complete(first, count) {}
    void add_key(const proto::TextKey& key, uint64_t first, uint64_t count) {
        auto query = mail::split_query(key.text, key.field);
        auto answer = query.is_exact ? proto::KeyAnswer::exact : proto::KeyAnswer::narrowed;
        if (query.pieces.empty()) answer = proto::KeyAnswer::unknown;
        keys.push_back({answer, pieces.size(), query.pieces.size()});
        for (auto& piece : query.pieces)
            pieces.push_back(
                {std::move(piece), static_cast<uint8_t>(key.classes & mail::kAllClasses), ContentSet(first, count)});
    }
    TextHits hits(uint64_t first, uint64_t count) && {
        TextHits hits{first, count, {}, {}};
        hits.sets.push_back(std::move(indexed));
        hits.sets.push_back(std::move(complete));
        for (const Key& key : keys) {
            hits.keys.push_back(key.answer);
            ContentSet set = key.pieces > 0 ? pieces[key.first_piece].contents : ContentSet(first, count);
            for (size_t i = 1; i < key.pieces; i++) set.keep_common(pieces[key.first_piece + i].contents);
            hits.sets.push_back(std::move(set));
        }
        return hits;
    }
};

void TextIndex::look(Database& db) {
    if (looked_) return;
    // No more than would be enough for a segment: the cost does not grow with what waits.
    auto lists = db.query("SELECT count(*), ifnull(sum(length(words)), 0) FROM (SELECT words FROM word_list LIMIT ?)",
                          limits_.lists);
    lists.next();
    lists_ = lists.number(0);
    list_bytes_ = lists.number(1);
    unfinished_ = db.query("SELECT 1 FROM segment WHERE state != 0 LIMIT 1").next();
    looked_ = true;
}

bool TextIndex::is_due(Database& db) {
    look(db);
    return lists_ >= limits_.lists || list_bytes_ >= limits_.list_bytes || unfinished_ || !damaged_.empty();
}

void TextIndex::add(Database& db, uint64_t content, std::string_view words) {
    if (words.empty()) return;
    look(db);
    db.run("INSERT OR REPLACE INTO word_list VALUES (?, ?)", content, Blob{words});
    lists_++;
    list_bytes_ += words.size();
}

void TextIndex::remove(Database& db, uint64_t content) {
    if (db.run("DELETE FROM word_list WHERE content = ?", content) == 0)
        db.run("INSERT OR IGNORE INTO dead_content VALUES (?)", content);
}

void TextIndex::add_missing(Database& db, const std::vector<proto::ContentWords>& contents) {
    std::set<uint64_t> known;
    for (uint64_t id : segment_ids(db)) {
        if (damaged_.contains(id)) continue;
        try {
            auto numbers = load(db, id).contents;
            for (const auto& item : contents)
                if (std::ranges::binary_search(numbers, item.content)) known.insert(item.content);
        } catch (const Damaged&) {
            damaged_.insert(id);
        }
    }
    for (const auto& [content, words] : contents) {
        if (words.empty() || known.contains(content)) continue;
        if (!db.query("SELECT 1 FROM content WHERE id = ?", content).next()) continue;
        if (db.query("SELECT 1 FROM word_list WHERE content = ?", content).next()) continue;
        add(db, content, words);
    }
}

void TextIndex::drop(Database& db) {
    db.run("DELETE FROM word_list");
    db.run("DELETE FROM dead_content");
    db.run("UPDATE segment SET state = 2, target = 0");
    looked_ = false;
    damaged_.clear();
}

std::vector<uint64_t> TextIndex::segment_ids(Database& db) {
    std::vector<uint64_t> ids;
    auto rows = db.query("SELECT id FROM segment WHERE state = 0 ORDER BY id");
    while (rows.next()) ids.push_back(rows.number(0));
    return ids;
}

TextIndex::Segment TextIndex::load(Database& db, uint64_t id) {
    auto row = db.query("SELECT level, target, contents, incomplete FROM segment WHERE id = ?", id);
    if (!row.next()) throw Damaged("no such segment");
    return {id, row.number(0), row.number(1), unpack_numbers(unseal(row.bytes(2))),
            unpack_numbers(unseal(row.bytes(3)))};
}

Result<TextHits> TextIndex::find(Database& db, const std::vector<proto::TextKey>& keys, uint64_t first,
                                 uint64_t count) {
    Search search(first, count);
    for (const auto& key : keys) {
        if (key.text.size() > mail::kMaxQueryText || key.field.size() > mail::kMaxQueryText)
            return permanent(ErrorCode::bad_request, "the text to be looked for is too long");
        search.add_key(key, first, count);
        if ((search.pieces.size() + keys.size() + 2) * count / 8 > kMaxBitmaps)
            return temporary(ErrorCode::busy, "too much to look through");
    }
    for (uint64_t id : segment_ids(db)) {
        if (damaged_.contains(id)) continue;
        try {
            search_segment(db, id, search);
        } catch (const Damaged& damaged) {
            // Its contents count as not indexed; they are when those who search have read them.
            log::error("a segment of the index of words is damaged", {{"segment", id}, {"error", damaged.what()}});
            damaged_.insert(id);
        }
    }
    search_lists(db, search);
    return std::move(search).hits(first, count);
}

void TextIndex::search_segment(Database& db, uint64_t id, Search& search) {
    Segment segment = load(db, id);
    auto blocks = db.query("SELECT id, words FROM segment_words WHERE id BETWEEN ? AND ? ORDER BY id", first_block(id),
                           last_block(id));
    while (blocks.next()) {
        std::string words = blocks.bytes(1);
        std::string postings;
        for (auto& piece : search.pieces) {
            auto positions = find_in_block(words, piece.piece);
            if (positions.empty()) continue;
            if (postings.empty()) postings = postings_of(db, blocks.number(0));
            for_lists(postings, positions, [&](std::string_view list) {
                for_postings(list, piece.classes, [&](uint64_t content) { piece.contents.add(content); });
            });
        }
    }
    for (uint64_t content : segment.contents) {
        search.indexed.add(content);
        if (!std::ranges::binary_search(segment.incomplete, content)) search.complete.add(content);
    }
}

void TextIndex::search_lists(Database& db, Search& search) {
    auto rows = db.query("SELECT content, words FROM word_list");
    while (rows.next()) {
        std::string list = rows.bytes(1);
        if (!mail::is_word_list(list)) continue;
        uint64_t content = rows.number(0);
        search.indexed.add(content);
        if (mail::WordListReader(list).is_complete()) search.complete.add(content);
        for (auto& piece : search.pieces) {
            if (!has_bytes(list, piece.piece.text)) continue;
            mail::WordListReader reader(list);
            while (auto word = reader.next()) {
                if ((word->classes & piece.classes) == 0 || !mail::matches(piece.piece, word->text)) continue;
                piece.contents.add(content);
                break;
            }
        }
    }
}

void TextIndex::check_lists(Database& db, Repair repair, const Report& report) {
    std::vector<uint64_t> bad;
    {
        auto rows = db.query("SELECT content, words FROM word_list");
        while (rows.next())
            if (!mail::is_word_list(rows.bytes(1))) bad.push_back(rows.number(0));
    }
    for (uint64_t content : bad) {
        report(fmt::format("the words of message file {} are damaged", content));
        if (repair == Repair::drop_damaged) db.run("DELETE FROM word_list WHERE content = ?", content);
    }
}

uint64_t TextIndex::check(Database& db, uint64_t from, Repair repair, const Report& report) {
    if (from == 0) check_lists(db, repair, report);
    std::vector<uint64_t> ids = segment_ids(db);
    auto at = std::ranges::lower_bound(ids, from);
    if (at == ids.end()) return 0;
    try {
        check_segment(db, *at);
    } catch (const Damaged& damaged) {
        report(fmt::format("segment {} of the index of words is damaged: {}", *at, damaged.what()));
        damaged_.insert(*at);
        if (repair == Repair::drop_damaged) give_up(db, *at);
    }
    return at + 1 != ids.end() ? at[1] : 0;
}

void TextIndex::check_segment(Database& db, uint64_t id) {
    Segment segment = load(db, id);
    if (segment.contents.empty()) throw Damaged("no contents");
    uint64_t first = segment.contents.front();
    ContentSet contents(first, segment.contents.back() - first + 1);
    for (uint64_t content : segment.contents) contents.add(content);
    std::string last;
    std::vector<Posting> postings;
    auto blocks = db.query("SELECT id, first, words FROM segment_words WHERE id BETWEEN ? AND ? ORDER BY id",
                           first_block(id), last_block(id));
    for (uint64_t expected = first_block(id); blocks.next(); expected++) {
        if (blocks.number(0) != expected) throw Damaged("a block is missing");
        std::string words = blocks.bytes(2);
        std::string lists = postings_of(db, expected);
        BlockReader reader(words, lists);
        for (bool at_first = true; auto item = reader.next(); at_first = false) {
            if (at_first && item->word != blocks.bytes(1)) throw Damaged("another first word");
            if (item->word <= last) throw Damaged("words out of order");
            last = item->word;
            postings.clear();
            decode_postings(item->postings, postings);
            for (const Posting& posting : postings)
                if (!contents.has(posting.content)) throw Damaged("a content that it does not have");
        }
    }
}

}  // namespace mox::storaged
