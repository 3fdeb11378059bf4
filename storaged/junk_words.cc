#include <algorithm>
#include <ctime>
#include <sodium.h>

#include "storaged/mail_store.h"
#include "storaged/storage_channel.h"

// The words of junk and of other mail (proto/junk_words.h): how many of the messages that were learned have each.
//
// What a message is to be learned as is in `opinion.wanted`, by its flags, and what it was learned as in `learned`.
// Where these differ the worker is told, reads the message, and brings its words: they are counted, and `learned`
// changes, in one transaction, and only while both are what the worker was told. So each message counts once, whatever
// crashes and whoever else learns at the same time. The words are brought again when a message is to be unlearned: to
// keep them would take more room than the counts do. What is gone stays learned.
//
// When there are too many words some are looked at, from a random one on, and the rarest and oldest of these go.

namespace mox::storaged {
namespace {

using proto::JunkClass;

constexpr int64_t kLearnable = 1000;  // messages that are tried for one answer: some cannot be read

bool is_class(JunkClass c) {
    return c == JunkClass::junk || c == JunkClass::not_junk;
}

Result<void> check_learned(const std::vector<proto::LearnedMessage>& messages) {
    auto is_good = [](const auto& message) {
        bool ascending = std::ranges::is_sorted(message.words, std::ranges::less_equal{});
        return ascending && message.words.size() <= proto::kMaxJunkWords;
    };
    if (messages.size() <= proto::kMaxLearnedAtOnce && std::ranges::all_of(messages, is_good)) return {};
    return permanent(ErrorCode::bad_request, "not the words of messages, or too many at once");
}

JunkClass class_from(uint32_t number) {
    return number < std::to_underlying(JunkClass::kEnd) ? static_cast<JunkClass>(number) : JunkClass::none;
}

}  // namespace

Result<bool> MailStore::has_unlearned() {
    return db().query("SELECT 1 FROM opinion WHERE wanted != learned LIMIT 1").next();
}

Result<proto::UnlearnedMessages> MailStore::unlearned() {
    proto::UnlearnedMessages unlearned;
    PackReader packs(tree());
    size_t bytes = 0;
    auto rows = db().query(
        "SELECT o.learned, o.wanted, c.id, c.stored, prefix, info, file_size, file, offset, length, method FROM "
        "opinion o"
        " JOIN content c ON c.id = o.content WHERE o.wanted != o.learned ORDER BY o.content LIMIT ?",
        kLearnable);
    while (unlearned.messages.size() < proto::kMaxLearnedAtOnce && bytes < kMaxReplyBytes && rows.next()) {
        proto::MessageFile file{
            {}, rows.bytes(4), rows.bytes(5), rows.number(6), {}, {rows.number(2), rows.integer(3)}};
        ContentPlace place{rows.number(7), rows.number(8), rows.number(9), static_cast<pack::Method>(rows.small(10))};
        if (!read_content(file, place, {}, packs)) continue;  // passed over: others wait behind it
        bytes += file.prefix.size() + file.info.size() + file.start.size();
        unlearned.messages.push_back({std::move(file), class_from(rows.small(0)), class_from(rows.small(1))});
    }
    return unlearned;
}

void MailStore::count_words(JunkClass as, const std::vector<uint64_t>& words, int64_t by) {
    int64_t junk = as == JunkClass::junk ? by : 0;
    int64_t not_junk = as == JunkClass::not_junk ? by : 0;
    int64_t day = std::time(nullptr) / (24 * 3600);
    int64_t added = 0;
    for (uint64_t word : words) {
        // One that was dropped meanwhile, or was told otherwise the last time, is counted below nothing by nobody.
        if (db().run("UPDATE junk_word SET junk = max(0, junk + ?2), not_junk = max(0, not_junk + ?3), last = ?4"
                     " WHERE word = ?1",
                     word, junk, not_junk, day) > 0 ||
            by < 0)
            continue;
        db().run("INSERT INTO junk_word VALUES (?, ?, ?, ?)", word, junk, not_junk, day);
        added++;
    }
    db().run(
        "UPDATE state SET junk_messages = max(0, junk_messages + ?), not_junk_messages = max(0, not_junk_messages + ?),"
        " junk_words = junk_words + ?",
        junk, not_junk, added);
}

Result<proto::Done> MailStore::learn(const std::vector<proto::LearnedMessage>& messages) {
    if (auto checked = check_learned(messages); !checked) return std::unexpected(checked.error());
    for (const auto& message : messages) {
        int64_t taken = db().run(
            "UPDATE opinion SET learned = wanted WHERE content = ? AND learned = ? AND wanted = ? AND learned != wanted"
            " AND EXISTS (SELECT 1 FROM content c WHERE c.id = opinion.content)",
            message.content, std::to_underlying(message.was), std::to_underlying(message.wanted));
        if (taken == 0) continue;
        if (is_class(message.was)) count_words(message.was, message.words, -1);
        if (is_class(message.wanted)) count_words(message.wanted, message.words, 1);
    }
    while (drop_rare_words()) continue;
    return proto::Done{};
}

/// Some, when there are too many words; false when not.
bool MailStore::drop_rare_words() {
    const JunkLimits& limits = counters().junk;
    {
        auto row = db().query("SELECT junk_words FROM state");
        if (!row.next() || row.number(0) <= limits.words) return false;
    }
    int64_t from = 0;
    randombytes_buf(&from, sizeof from);
    // From the last ones on there may be none: the first come behind them.
    int64_t dropped = db().run(
        "DELETE FROM junk_word WHERE word IN (SELECT word FROM (SELECT * FROM (SELECT word, junk + not_junk AS count,"
        " last FROM junk_word WHERE word >= ?1 ORDER BY word LIMIT ?2) UNION ALL SELECT * FROM (SELECT word, junk +"
        " not_junk AS count, last FROM junk_word WHERE word < ?1 ORDER BY word LIMIT ?2) LIMIT ?2) ORDER BY count, last"
        " LIMIT ?3)",
        from, limits.looked_at, limits.dropped);
    db().run("UPDATE state SET junk_words = junk_words - ?", dropped);
    return dropped > 0;
}

Result<proto::WordCounts> MailStore::word_counts(const std::vector<uint64_t>& words) {
    if (words.size() > proto::kMaxJunkWords) return permanent(ErrorCode::bad_request, "too many words at once");
    proto::WordCounts counts{};
    {
        auto row = db().query("SELECT junk_messages, not_junk_messages FROM state");
        if (row.next()) counts.junk = row.number(0), counts.not_junk = row.number(1);
    }
    for (uint64_t word : words) {
        auto row = db().query("SELECT junk, not_junk FROM junk_word WHERE word = ?", word);
        counts.words.push_back(row.next() ? proto::WordCount{row.small(0), row.small(1)} : proto::WordCount{});
    }
    return counts;
}

Result<proto::JunkStatus> MailStore::junk_status() {
    proto::JunkStatus status{};
    auto row = db().query(
        "SELECT junk_messages, not_junk_messages, junk_words, (SELECT count(*) FROM opinion WHERE wanted != learned)"
        " FROM state");
    if (row.next()) status = {row.number(0), row.number(1), row.number(2), row.number(3)};
    return status;
}

Result<proto::Done> MailStore::reset_junk_words(proto::JunkReset reset) {
    db().run("DELETE FROM junk_word");
    db().run("UPDATE state SET junk_messages = 0, not_junk_messages = 0, junk_words = 0");
    db().run("UPDATE opinion SET learned = 0, wanted = 0 WHERE learned != 0 OR wanted != 0");
    if (reset == proto::JunkReset::forget) return proto::Done{};
    // By the flags of now, also of messages that had them before anything was learned here.
    db().run(
        "INSERT INTO opinion SELECT content, CASE max(flags) & 192 WHEN 64 THEN 2 ELSE 1 END,"
        " CASE max(flags) & 192 WHEN 64 THEN 2 ELSE 1 END, 0 FROM message WHERE flags & 192 IN (64, 128)"
        " GROUP BY content ON CONFLICT DO UPDATE SET wanted = excluded.wanted");
    effects().learning_due = true;
    return proto::Done{};
}

async::Task<Result<proto::WordCounts>> StorageChannel::on(proto::GetWordCounts message) {
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    server_.accounts().make_room();
    co_return co_await account->run(
        Access::read, [words = std::move(message.words)](MailStore& store) { return store.word_counts(words); });
}

}  // namespace mox::storaged
