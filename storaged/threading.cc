#include <algorithm>
#include <utility>

#include "storaged/mail_store.h"

// Threads (RFC 8474 5.2): which messages of the account belong together, whatever mailboxes they are in.
//
// Two belong to one thread when a Message-ID stands in both, as their own or as one they refer to, and their subjects
// are the same without what replies put in front (RFC 8621 3). `thread_key` has what the messages of a thread mention.
// A reply that refers to nothing belongs to the thread of its subject that had its last message in the weeks before.
//
// There is one rule and one order, that of the numbers of contents: messages get their threads in it, some at a time,
// when somebody asks (the worker brings what is in their parses), so it does not matter how many at once nor when. All
// below the last that has one have one. What has a thread keeps it (RFC 8474 5.2), also where a later message shows
// that two threads are one. Bounded by the messages that ever joined a thread: what they mention stays as long as it.

namespace mox::storaged {
namespace {

constexpr int64_t kReplyWithin = int64_t{28} * 24 * 3600;  // of the message replied to
constexpr int64_t kReplyBefore = int64_t{24} * 3600;       // clocks are wrong
constexpr int64_t kLastDate = int64_t{1} << 40;            // some 30,000 years

std::optional<Error> check_facts(const std::vector<proto::ThreadFacts>& messages) {
    auto is_good = [](const auto& facts) { return facts.ids.size() <= proto::kMaxThreadKeys; };
    bool ascending = std::ranges::is_sorted(messages, std::ranges::less_equal{}, &proto::ThreadFacts::content);
    if (messages.size() <= proto::kMaxUnthreadedAtOnce && ascending && std::ranges::all_of(messages, is_good))
        return std::nullopt;
    return Error{Persistence::permanent, ErrorCode::bad_request, "not what decides on threads, or too much of it"};
}

}  // namespace

Result<proto::UnthreadedMessages> MailStore::unthreaded() {
    proto::UnthreadedMessages unthreaded;
    size_t bytes = 0;
    auto rows = db().query(
        "SELECT id, stored, info FROM content WHERE id > (SELECT ifnull(max(content), 0) FROM thread_of) ORDER BY id "
        "LIMIT ?",
        proto::kMaxUnthreadedAtOnce);
    while (bytes < kMaxReplyBytes && rows.next()) {
        unthreaded.messages.push_back({rows.number(0), rows.integer(1), rows.bytes(2)});
        bytes += unthreaded.messages.back().info.size();
    }
    return unthreaded;
}

/// By what it says it belongs to; 0: it begins a thread.
uint64_t MailStore::find_thread_for(const proto::ThreadFacts& facts) {
    // What a report is about has another subject.
    bool any_subject = facts.role == proto::ThreadRole::report;
    for (uint64_t id : facts.ids) {
        if (id == 0) continue;
        auto row = db().query(
            "SELECT t.id FROM thread_key k JOIN thread t ON t.id = k.thread WHERE k.message_id = ?1"
            " AND (k.subject = ?2 OR ?3) AND t.joined < ?4 ORDER BY k.subject != ?2, t.id LIMIT 1",
            id, facts.subject, any_subject, proto::kMaxThreadMessages);
        if (row.next()) return row.number(0);
    }
    if (facts.has_references || facts.role != proto::ThreadRole::reply || facts.subject == 0) return 0;
    auto row = db().query(
        "SELECT id FROM thread WHERE subject = ? AND newest BETWEEN ? AND ? AND joined < ?"
        " ORDER BY newest DESC, id DESC LIMIT 1",
        facts.subject, facts.date - kReplyWithin, facts.date + kReplyBefore, proto::kMaxThreadMessages);
    return row.next() ? row.number(0) : 0;
}

void MailStore::assign_thread(const proto::ThreadFacts& facts) {
    uint64_t thread = find_thread_for(facts);
    bool begins = thread == 0;
    if (begins) {
        thread = facts.content;
        db().run("INSERT INTO thread SELECT id, stored, 0, 0, ?, ? FROM content WHERE id = ?", facts.subject,
                 facts.date, facts.content);
    }
    db().run("INSERT INTO thread_of VALUES (?, ?)", facts.content, thread);
    db().run("UPDATE thread SET messages = messages + 1, joined = joined + 1, newest = max(newest, ?) WHERE id = ?",
             facts.date, thread);
    // A thread that is begun where another one is full takes its place.
    const char* insert = begins ? "INSERT OR REPLACE INTO thread_key VALUES (?, ?, ?)"
                                : "INSERT OR IGNORE INTO thread_key VALUES (?, ?, ?)";
    for (uint64_t id : facts.ids)
        if (id != 0) db().run(insert, id, facts.subject, thread);
}

Result<proto::Done> MailStore::assign_threads(const std::vector<proto::ThreadFacts>& messages) {
    if (auto wrong = check_facts(messages)) return std::unexpected(std::move(*wrong));
    for (proto::ThreadFacts facts : messages) {
        uint64_t next = 0;
        {
            auto row = db().query(
                "SELECT id FROM content WHERE id > (SELECT ifnull(max(content), 0) FROM thread_of) ORDER BY id LIMIT "
                "1");
            if (row.next()) next = row.number(0);
        }
        // Gone, or another worker was first; or one is left out, and has to be asked for again.
        if (next != facts.content && facts.content < next) continue;
        if (next != facts.content) break;
        facts.date = std::clamp<int64_t>(facts.date, 0, kLastDate);
        assign_thread(facts);
    }
    return proto::Done{};
}

Result<proto::Threads> MailStore::threads_of(const std::vector<uint64_t>& contents) {
    if (contents.size() > proto::kMaxThreadsPerGet) return permanent(ErrorCode::bad_request, "too many at once");
    proto::Threads threads;
    for (uint64_t content : contents) {
        auto row = db().query("SELECT t.id, t.born FROM thread_of o JOIN thread t ON t.id = o.thread WHERE content = ?",
                              content);
        threads.threads.push_back(row.next() ? proto::ThreadId{row.number(0), row.integer(1)} : proto::ThreadId{});
    }
    return threads;
}

Result<proto::ThreadContents> MailStore::find_thread(proto::ThreadId thread) {
    proto::ThreadContents found;
    auto rows = db().query(
        "SELECT content FROM thread_of o JOIN thread t ON t.id = o.thread WHERE o.thread = ? AND t.born = ?"
        " ORDER BY content",
        thread.number, thread.born);
    while (rows.next()) found.contents.push_back(rows.number(0));
    return found;
}

/// The content is gone; with the last one of a thread goes what the thread is known by.
void MailStore::leave_thread(uint64_t content) {
    uint64_t thread = 0;
    {
        auto row = db().query("SELECT thread FROM thread_of WHERE content = ?", content);
        if (!row.next()) return;
        thread = row.number(0);
    }
    db().run("DELETE FROM thread_of WHERE content = ?", content);
    db().run("UPDATE thread SET messages = messages - 1 WHERE id = ?", thread);
    if (db().run("DELETE FROM thread WHERE id = ? AND messages = 0", thread) == 0) return;
    db().run("DELETE FROM thread_key WHERE thread = ?", thread);
}

}  // namespace mox::storaged
