#include "storaged/queue_store.h"

#include <algorithm>
#include <ctime>
#include <sodium.h>

#include "common/mail/utf8.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxEntriesBytes = 2u << 20;  // of one reply

// Version n of the schema is what the first n texts make. Never change one that was released: add one.
constexpr const char* kVersion1 = R"(
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_file INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    clean_below INTEGER NOT NULL,
    queue INTEGER NOT NULL,             -- random: tells this queue from one made after it
    entries INTEGER NOT NULL            -- rows of entry
);
CREATE TABLE erase (file INTEGER PRIMARY KEY);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,             -- also the number of the file
    entries INTEGER NOT NULL,           -- rows of entry that speak of it
    file_size INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    account TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    message_id TEXT NOT NULL,
    smtputf8 INTEGER NOT NULL,
    has_8bit INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    info BLOB NOT NULL,
    words BLOB NOT NULL,                -- for a mailbox here (text_index.h)
    content BLOB                        -- when it is small; else there is a file
);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    next_attempt INTEGER NOT NULL,
    last_attempt INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    delay_notified INTEGER NOT NULL,
    last_error TEXT NOT NULL
);
CREATE INDEX entry_next_attempt ON entry (next_attempt);
)";

constexpr const char* kUpgrades[] = {kVersion1};

proto::QueueEntry entry_from(const Query& row) {
    proto::QueueEntry entry;
    entry.id = row.number(0);
    entry.message = row.number(1);
    entry.account = row.bytes(2);
    entry.mail_from = row.bytes(3);
    entry.recipient = row.bytes(4);
    entry.queued = row.integer(5);
    entry.next_attempt = row.integer(6);
    entry.last_attempt = row.integer(7);
    entry.attempts = row.small(8);
    entry.last_error = row.bytes(9);
    entry.size = row.number(10);
    entry.smtputf8 = row.flag(11);
    entry.has_8bit = row.flag(12);
    entry.delay_notified = row.flag(13);
    entry.message_id = row.bytes(14);
    return entry;
}

Fd memory_file(std::string_view bytes) {
    MemoryFile file;
    file.append(bytes.data(), bytes.size());
    return file.seal();
}

std::vector<uint64_t> sorted(std::vector<uint64_t> ids) {
    std::ranges::sort(ids);
    return ids;
}

/// Adds the entries of a query until the limit or the bytes are reached.
Result<proto::QueueEntries> collect(Query rows, uint32_t limit, const std::vector<uint64_t>& except) {
    proto::QueueEntries found;
    size_t bytes = 0;
    limit = std::min(limit, kMaxQueueEntries);
    while (found.entries.size() < limit && bytes < kMaxEntriesBytes && rows.next()) {
        if (std::ranges::binary_search(except, rows.number(0))) continue;
        found.entries.push_back(entry_from(rows));
        const proto::QueueEntry& e = found.entries.back();
        bytes += 100 + e.account.size() + e.mail_from.size() + e.recipient.size() + e.last_error.size() +
                 e.message_id.size();
    }
    return found;
}

}  // namespace

FileTree queue_tree() {
    return {"queue", "queue-stray"};
}

QueueStore::QueueStore(const std::string& directory, Journal& journal, Counters& counters)
    : Store(directory + "queue.db", {directory + queue_tree().root, directory + queue_tree().strays}, kUpgrades,
            journal, counters) {}

std::span<const Check> QueueStore::checks() const {
    static constexpr Check kChecks[] = {
        {"SELECT m.id FROM message m LEFT JOIN (SELECT message, count(*) n FROM entry GROUP BY message) e"
         " ON e.message = m.id WHERE m.entries != ifnull(e.n, 0)",
         "wrong number of entries of a message"},
        {"SELECT e.id FROM entry e LEFT JOIN message m ON m.id = e.message WHERE m.id IS NULL",
         "an entry without its message"},
        {"SELECT entries FROM state WHERE entries != (SELECT count(*) FROM entry)", "wrong count of entries"},
        {"SELECT m.id FROM message m, state s WHERE m.id >= s.next_file", "a file number that is not given out yet"},
        {"SELECT file FROM erase WHERE file IN (SELECT id FROM message)", "a file to be erased that is needed"},
    };
    return kChecks;
}

const char* QueueStore::files_sql() const {
    return "SELECT id, file_size, 0 FROM message WHERE content IS NULL AND id BETWEEN ?1 AND ?2 ORDER BY id";
}

const char* QueueStore::count_sql() const {
    return "SELECT count(*) FROM message WHERE id BETWEEN ?1 AND ?2";
}

void QueueStore::fill_new() {
    uint64_t queue = 0;
    randombytes_buf(&queue, sizeof queue);
    db().run("INSERT INTO state VALUES (1, 1, 0, 1, ?, 0)", queue);
}

bool QueueStore::row_has_file(uint64_t file) {
    return db().query("SELECT 1 FROM message WHERE id = ? AND content IS NULL", file).next();
}

// Most messages leave again at once: a file for each would cost more than all else.
uint64_t QueueStore::keep_content(const NewQueued& message) {
    if (!message.content->fits_journal()) return place_file(message.content->path(), message.content->file());
    return take_number();
}

Result<proto::Enqueued> QueueStore::enqueue(const NewQueued& message) {
    int64_t now = std::time(nullptr);
    uint64_t file = keep_content(message);
    std::optional<Blob> content;
    if (message.content->fits_journal()) content = Blob{*message.content->bytes()};
    db().run("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", file, message.recipients.size(),
             message.content->size(), now, message.account, message.mail_from, message.message_id, message.smtputf8,
             message.has_8bit, Blob{message.prefix}, Blob{message.info}, Blob{message.words}, content);
    proto::Enqueued enqueued;
    for (const std::string& recipient : message.recipients) {
        db().run(
            "INSERT INTO entry (message, recipient, next_attempt, last_attempt, attempts, delay_notified, last_error)"
            " VALUES (?, ?, ?, 0, 0, 0, '')",
            file, recipient, now);
        enqueued.ids.push_back(static_cast<uint64_t>(db().last_id()));
    }
    db().run("UPDATE state SET entries = entries + ? WHERE id = 1", message.recipients.size());
    effects().queue_grew = true;
    return enqueued;
}

Result<proto::QueueEntries> QueueStore::due(const proto::QueueDue& request) {
    return collect(
        db().query(
            "SELECT entry.id, message, account, mail_from, recipient, queued, next_attempt, last_attempt, attempts,"
            " last_error, length(prefix) + file_size, smtputf8, has_8bit, delay_notified, message_id"
            " FROM entry JOIN message ON message.id = entry.message WHERE next_attempt <= ? ORDER BY next_attempt, "
            "entry.id",
            request.until),
        request.limit, sorted(request.except));
}

Result<proto::QueueEntries> QueueStore::scan(uint64_t after, uint32_t limit) {
    return collect(
        db().query(
            "SELECT entry.id, message, account, mail_from, recipient, queued, next_attempt, last_attempt, attempts,"
            " last_error, length(prefix) + file_size, smtputf8, has_8bit, delay_notified, message_id"
            " FROM entry JOIN message ON message.id = entry.message WHERE entry.id > ? ORDER BY entry.id",
            std::min<uint64_t>(after, INT64_MAX)),
        limit, {});
}

Result<proto::NextAttempt> QueueStore::next(const std::vector<uint64_t>& except) {
    proto::NextAttempt result{};
    {
        auto state = db().query("SELECT entries FROM state");
        if (state.next()) result.count = state.number(0);
    }
    std::vector<uint64_t> skip = sorted(except);
    auto rows = db().query("SELECT id, next_attempt FROM entry ORDER BY next_attempt");
    while (!result.when && rows.next())
        if (!std::ranges::binary_search(skip, rows.number(0))) result.when = rows.integer(1);
    return result;
}

Result<proto::QueuedMessage> QueueStore::open_entry(uint64_t id) {
    auto row = db().query(
        "SELECT message.id, file_size, prefix, info, content FROM entry JOIN message ON message.id = entry.message"
        " WHERE entry.id = ?",
        id);
    if (!row.next()) return permanent(ErrorCode::not_found, "no such queue entry");
    Fd file = row.is_null(4) ? open_message(tree(), row.number(0), row.number(1)) : memory_file(row.bytes(4));
    proto::QueuedMessage message{row.bytes(2), row.bytes(3), std::move(file)};
    if (!message.file) return temporary(ErrorCode::io, "the message file is damaged");
    return message;
}

Result<QueuedContent> QueueStore::content(uint64_t id) {
    auto row = db().query(
        "SELECT message.id, file_size, prefix, info, mail_from, queue, words, content FROM entry"
        " JOIN message ON message.id = entry.message JOIN state WHERE entry.id = ?",
        id);
    if (!row.next()) return permanent(ErrorCode::not_found, "no such queue entry");
    QueuedContent content{row.number(5), row.number(0), row.number(1), {},
                          row.bytes(2),  row.bytes(3),  row.bytes(6),  row.bytes(4)};
    if (!row.is_null(7)) content.bytes = row.bytes(7);
    return content;
}

Result<proto::Done> QueueStore::update(const proto::QueueUpdate& request) {
    int64_t rows = db().run(
        "UPDATE entry SET next_attempt = ?, last_attempt = ?, attempts = ?, last_error = ?, delay_notified = ? WHERE "
        "id = ?",
        request.next_attempt, request.last_attempt, request.attempts, mail::cut_utf8(request.last_error, kMaxLastError),
        request.delay_notified, request.id);
    if (rows == 0) return permanent(ErrorCode::not_found, "no such queue entry");
    return proto::Done{};
}

Result<proto::Done> QueueStore::remove(const std::vector<uint64_t>& ids) {
    for (uint64_t id : ids) {
        uint64_t message = 0;
        {
            auto row = db().query("SELECT message FROM entry WHERE id = ?", id);
            if (!row.next()) continue;
            message = row.number(0);
        }
        db().run("DELETE FROM entry WHERE id = ?", id);
        db().run("UPDATE state SET entries = entries - 1 WHERE id = 1");
        db().run("UPDATE message SET entries = entries - 1 WHERE id = ?", message);
        bool has_file = row_has_file(message);
        if (db().run("DELETE FROM message WHERE id = ? AND entries = 0", message) > 0 && has_file)
            note_file_unused(message);
    }
    return proto::Done{};
}

}  // namespace mox::storaged
