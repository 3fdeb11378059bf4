// Threads: which messages get the same one, in whatever pieces and mailboxes; recipients.
#include <algorithm>
#include <fmt/format.h>

#include "storaged/check.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
using proto::ThreadFacts;
using proto::ThreadId;
using proto::ThreadRole;
using storaged::MailStore;

namespace {

constexpr int64_t kDay = 24 * 3600;

/// What of a message decides: by its number here, which stands for its content.
struct Made {
    std::vector<uint64_t> ids;  // its own, then references
    uint64_t subject = 7;
    int64_t date = 100 * kDay;
    ThreadRole role = ThreadRole::plain;
};

struct Threaded : World {
    std::unique_ptr<Client> alice = open("alice");

    proto::MailboxId mailbox(const std::string& name) {
        auto columns = call(*alice, proto::OpenMailbox{name});
        REQUIRE(columns);
        return columns->mailbox.id;
    }
    uint64_t add(const std::string& name = "INBOX") {
        proto::AppendMessages request{name, {{0, 1, 0, {}, {1, 0}, "info", "x"}}};
        REQUIRE(call(*alice, request));
        return rows_of(*call(*alice, proto::OpenMailbox{name})).back().content;
    }
    static ThreadFacts facts(uint64_t content, const Made& made) {
        return {content, made.ids, made.subject, made.date, made.ids.size() > 1, made.role};
    }
    /// Adds the messages, and gives them their threads in pieces of so many; by number, from 0 on, in the order of
    /// threads' first messages.
    std::vector<size_t> thread(const std::vector<Made>& messages, size_t at_once = 500) {
        std::vector<uint64_t> contents;
        for (size_t i = 0; i < messages.size(); i++) contents.push_back(add());
        for (size_t i = 0; i < messages.size(); i += at_once) {
            proto::AssignThreads request;
            for (size_t n = i; n < std::min(i + at_once, messages.size()); n++)
                request.messages.push_back(facts(contents[n], messages[n]));
            REQUIRE(call(*alice, request));
        }
        std::vector<ThreadId> seen;
        std::vector<size_t> numbers;
        for (const ThreadId& id : threads_of(contents)) {
            REQUIRE(id.number != 0);
            if (std::ranges::find(seen, id) == seen.end()) seen.push_back(id);
            numbers.push_back(static_cast<size_t>(std::ranges::find(seen, id) - seen.begin()));
        }
        check();
        return numbers;
    }
    std::vector<ThreadId> threads_of(const std::vector<uint64_t>& contents) {
        auto reply = call(*alice, proto::GetThreads{contents});
        REQUIRE(reply);
        REQUIRE(reply->threads.size() == contents.size());
        return reply->threads;
    }
    std::vector<uint64_t> contents_of(ThreadId id) {
        auto reply = call(*alice, proto::FindThread{id});
        REQUIRE(reply);
        return reply->contents;
    }
    size_t unthreaded() {
        auto reply = call(*alice, proto::GetUnthreaded{});
        REQUIRE(reply);
        return reply->messages.size();
    }
    void check() {
        auto problems = std::make_shared<storaged::Problems>();
        auto work = [problems](MailStore& store) -> Result<proto::Done> {
            check_rows(store, *problems);
            return proto::Done{};
        };
        REQUIRE(wait(server->accounts().find("alice")->run(storaged::Access::read, work)));
        CHECK(problems->take() == std::vector<std::string>{});
    }
    uint64_t count(const char* sql) {
        auto work = [sql](MailStore& store) -> Result<uint64_t> {
            auto row = store.db().query(sql);
            row.next();
            return row.number(0);
        };
        return wait(server->accounts().find("alice")->run(storaged::Access::read, work)).value();
    }
};

using Numbers = std::vector<size_t>;

}  // namespace

TEST_CASE("messages that speak of each other, with one subject, are a thread") {
    TemporaryDirectory directory;
    Threaded w;
    std::vector<Made> messages = {
        {{1}},                                        // 0: begins
        {{2, 1}},                                     // 0: a reply
        {{3, 9, 1}},                                  // 0: its parent is not there, the one before is
        {{4, 9}},                                     // 0: by the parent that is not there
        {{9, 1}},                                     // 0: which comes later
        {{5, 1}, 8},                                  // 1: another subject
        {{6}, 8},                                     // 2: nothing in common but the subject
        {{1}},                                        // 0: the same Message-ID once more
        {{}, 0},                                      // 3: says nothing
        {{}, 0},                                      // 4
        {{7, 2}, 99, 100 * kDay, ThreadRole::report}  // 0: a report, whatever its subject
    };
    CHECK(w.thread(messages) == Numbers{0, 0, 0, 0, 0, 1, 2, 0, 3, 4, 0});
    CHECK(w.unthreaded() == 0);
}

TEST_CASE("it makes no difference how many get their threads at once") {
    std::vector<Made> messages;
    unsigned random = 1;
    auto next = [&](unsigned n) { return (random = random * 1103515245 + 12345) / 65536 % n; };
    for (uint64_t i = 1; i <= 60; i++) {
        Made made{
            {i}, 1 + next(3), static_cast<int64_t>(next(60)) * kDay, next(2) ? ThreadRole::reply : ThreadRole::plain};
        for (unsigned n = next(3); n > 0; n--) made.ids.push_back(1 + next(60));
        messages.push_back(made);
    }
    Numbers all;
    for (size_t at_once : {size_t{500}, size_t{1}, size_t{7}}) {
        TemporaryDirectory directory;
        Threaded w;
        Numbers numbers = w.thread(messages, at_once);
        if (all.empty()) all = numbers;
        CHECK(numbers == all);
    }
    CHECK(*std::ranges::max_element(all) > 5);
    CHECK(*std::ranges::max_element(all) < 50);
}

TEST_CASE("a reply without references belongs to the subject of the last weeks") {
    TemporaryDirectory directory;
    Threaded w;
    auto reply = [](uint64_t id, int64_t date, uint64_t subject = 7) {
        return Made{{id}, subject, date, ThreadRole::reply};
    };
    std::vector<Made> messages = {
        {{1}},                        // 0, on day 100
        reply(2, 101 * kDay),         // 0
        reply(3, 129 * kDay),         // 0: 28 days behind the last one
        reply(4, 158 * kDay),         // 1: too late
        reply(5, 99 * kDay),          // 2: too early for any
        reply(6, 158 * kDay - kDay),  // 1: clocks are wrong
        {{7}, 7, 158 * kDay},         // 3: no reply
        reply(8, 158 * kDay, 0),      // 4: without a subject
    };
    CHECK(w.thread(messages) == Numbers{0, 0, 0, 1, 2, 1, 3, 4});
}

TEST_CASE("a thread stays with a message wherever it is put, and goes with the last one") {
    TemporaryDirectory directory;
    Threaded w;
    CHECK(w.thread({{{1}}, {{2, 1}}, {{3}, 8}}) == Numbers{0, 0, 1});
    auto inbox = w.mailbox("INBOX");
    auto rows = rows_of(*w.call(*w.alice, proto::OpenMailbox{"INBOX"}));
    auto thread = w.threads_of({rows[0].content}).front();
    CHECK(w.contents_of(thread) == std::vector<uint64_t>{rows[0].content, rows[1].content});
    CHECK(w.contents_of({thread.number, thread.born + 1}).empty());
    REQUIRE(w.call(*w.alice, proto::MoveMessages{inbox, {{rows[0].uid, rows[0].uid}}, "Archive"}));
    REQUIRE(w.call(*w.alice, proto::CopyMessages{inbox, {{rows[1].uid, rows[1].uid}}, "Archive"}));
    CHECK(w.threads_of({rows[0].content, rows[1].content, 999}) == std::vector<ThreadId>{thread, thread, {}});
    CHECK(w.unthreaded() == 0);
    auto expunge = [&](const std::string& name) {
        auto id = w.mailbox(name);
        REQUIRE(
            w.call(*w.alice, proto::StoreFlags{id, {{1, UINT32_MAX}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
        REQUIRE(w.call(*w.alice, proto::Expunge{id, {{1, UINT32_MAX}}}));
        w.check();
    };
    expunge("INBOX");
    CHECK(w.contents_of(thread).size() == 2);  // their copies
    CHECK(w.count("SELECT count(*) FROM thread") == 1);
    // What comes still belongs to it, also when the first one is gone.
    auto archive = w.mailbox("Archive");
    REQUIRE(w.call(*w.alice, proto::StoreFlags{archive, {{1, 1}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
    REQUIRE(w.call(*w.alice, proto::Expunge{archive, {{1, 1}}}));
    uint64_t late = w.add();
    CHECK(w.unthreaded() == 1);
    REQUIRE(w.call(*w.alice, proto::AssignThreads{{Threaded::facts(late, {{4, 1}})}}));
    CHECK(w.threads_of({late}).front() == thread);
    w.check();
    w.crash();
    w.start();
    w.alice = w.open("alice");
    CHECK(w.threads_of({late}).front() == thread);
    expunge("INBOX");
    expunge("Archive");
    CHECK(w.count("SELECT (SELECT count(*) FROM thread) + (SELECT count(*) FROM thread_of)"
                  " + (SELECT count(*) FROM thread_key)") == 0);
}

TEST_CASE("messages get their threads in the order in which they came, each once") {
    TemporaryDirectory directory;
    Threaded w;
    std::vector<uint64_t> contents = {w.add(), w.add(), w.add()};
    CHECK(w.unthreaded() == 3);
    // One is left out: what comes behind it has to wait.
    REQUIRE(w.call(*w.alice,
                   proto::AssignThreads{{Threaded::facts(contents[0], {{1}}), Threaded::facts(contents[2], {{3}})}}));
    CHECK(w.unthreaded() == 2);
    // Another session comes too late, and changes nothing.
    auto thread = w.threads_of({contents[0]}).front();
    REQUIRE(w.call(*w.alice,
                   proto::AssignThreads{{Threaded::facts(contents[0], {{9}, 3}), Threaded::facts(contents[1], {{2, 1}}),
                                         Threaded::facts(contents[2], {{3, 1}})}}));
    CHECK(w.threads_of(contents) == std::vector<ThreadId>{thread, thread, thread});
    // What does not exist is passed over.
    REQUIRE(w.call(*w.alice, proto::AssignThreads{{Threaded::facts(contents[2] + 1000, {{9}})}}));
    CHECK(w.unthreaded() == 0);
    auto refused = [&](std::vector<ThreadFacts> facts) {
        CHECK(error_of(w.call(*w.alice, proto::AssignThreads{std::move(facts)})).code == ErrorCode::bad_request);
    };
    refused({{1, std::vector<uint64_t>(proto::kMaxThreadKeys + 1), 0, 0, false, {}}});
    refused({{2, {}, 0, 0, false, {}}, {1, {}, 0, 0, false, {}}});
    refused({{2, {}, 0, 0, false, {}}, {2, {}, 0, 0, false, {}}});
    refused(std::vector<ThreadFacts>(proto::kMaxUnthreadedAtOnce + 1));
    CHECK(error_of(w.call(*w.alice, proto::GetThreads{std::vector<uint64_t>(proto::kMaxThreadsPerGet + 1)})).code ==
          ErrorCode::bad_request);
    w.check();
}

TEST_CASE("a thread that is full is followed by another") {
    TemporaryDirectory directory;
    Threaded w;
    CHECK(w.thread({{{1}}, {{2, 1}}}) == Numbers{0, 0});
    auto fill = [](MailStore& store) -> Result<proto::Done> {
        store.db().run("UPDATE thread SET joined = ?", proto::kMaxThreadMessages);
        return proto::Done{};
    };
    REQUIRE(w.wait(w.server->accounts().find("alice")->run(storaged::Access::write, fill)));
    std::vector<uint64_t> contents = {w.add(), w.add(), w.add()};
    REQUIRE(w.call(*w.alice,
                   proto::AssignThreads{{Threaded::facts(contents[0], {{3, 1}}), Threaded::facts(contents[1], {{4, 3}}),
                                         Threaded::facts(contents[2], {{5, 1}})}}));
    auto threads = w.threads_of(contents);
    CHECK(threads[0].number == contents[0]);
    CHECK(threads == std::vector<ThreadId>(3, threads[0]));
}

TEST_CASE("messages that come and go fill a thread too") {
    TemporaryDirectory directory;
    Threaded w;
    CHECK(w.thread({{{1}}}) == Numbers{0});
    auto inbox = w.mailbox("INBOX");
    uint64_t next = 2;
    // A reply comes and goes; the thread that it was of.
    auto reply = [&] {
        uint64_t content = w.add();
        REQUIRE(w.call(*w.alice, proto::AssignThreads{{Threaded::facts(content, {{next++, 1}})}}));
        uint64_t thread = w.threads_of({content}).front().number;
        REQUIRE(w.call(*w.alice,
                       proto::StoreFlags{inbox, {{2, UINT32_MAX}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
        REQUIRE(w.call(*w.alice, proto::Expunge{inbox, {{2, UINT32_MAX}}}));
        return thread;
    };
    uint64_t first = reply();
    for (int i = 0; i < 30; i++) CHECK(reply() == first);
    CHECK(w.count("SELECT messages FROM thread") == 1);
    CHECK(w.count("SELECT joined FROM thread") == 32);
    w.check();
    auto nearly = [](MailStore& store) -> Result<proto::Done> {
        store.db().run("UPDATE thread SET joined = ?", proto::kMaxThreadMessages - 5);
        return proto::Done{};
    };
    REQUIRE(w.wait(w.server->accounts().find("alice")->run(storaged::Access::write, nearly)));
    for (int i = 0; i < 5; i++) CHECK(reply() == first);
    uint64_t keys = w.count("SELECT count(*) FROM thread_key");
    for (int i = 0; i < 30; i++) CHECK(reply() != first);
    CHECK(w.count("SELECT count(*) FROM thread_key") <= keys);
    CHECK(w.count("SELECT count(*) FROM thread") == 1);
    w.check();
}

TEST_CASE("dates that cannot be do not matter") {
    TemporaryDirectory directory;
    Threaded w;
    Made early{{1}, 7, INT64_MIN, ThreadRole::reply};
    Made late{{2}, 7, INT64_MAX, ThreadRole::reply};
    CHECK(w.thread({early, late, late}).size() == 3);
}

TEST_CASE("whom an account has written to") {
    TemporaryDirectory directory;
    Threaded w;
    auto append = [&](const std::string& mailbox, std::vector<std::string> recipients, int64_t when) {
        proto::AppendItem item{0, 1, 0, {}, {when, 0}, "info", "x"};
        item.recipients = std::move(recipients);
        REQUIRE(w.call(*w.alice, proto::AppendMessages{mailbox, {item}}));
    };
    auto known = [&](std::string after = "") {
        auto work = [after](MailStore& store) { return store.recipients(after); };
        return w.wait(w.server->accounts().find("alice")->run(storaged::Access::read, work)).value().recipients;
    };
    append("INBOX", {"nobody@example.org"}, 1);
    CHECK(known().empty());
    append("Sent",
           {"Bob@example.org", "carol@example.org", "no address", "@", "x@", "@y", std::string(400, 'x') + "@y"}, 100);
    append("Sent", {"bob@example.org"}, 50);
    auto two = known();
    REQUIRE(two.size() == 2);
    CHECK(two[0].address == "bob@example.org");
    CHECK(two[0].last == 100);
    CHECK(two[0].count == 2);
    CHECK(known("bob@example.org").size() == 1);
    // What was submitted counts whether or not a copy is kept.
    std::string text = "Subject: x\r\n\r\n";
    proto::Enqueue enqueue{};
    enqueue.facts = World::facts(text);
    enqueue.content = text;
    enqueue.account = "alice";
    enqueue.recipients = {"hidden@example.net"};
    REQUIRE(w.call(w.smtpd, enqueue));
    w.settle();
    CHECK(known("d").size() == 1);
    // The oldest make room.
    for (int n = 0; n < 101; n++) {
        std::vector<std::string> some;
        for (int i = 0; i < 100; i++) some.push_back(fmt::format("u{}-{}@example.org", n, i));
        append("Sent", some, 1000 + n);
    }
    CHECK(w.count("SELECT count(*) FROM recipient") == 10'000);
    CHECK(w.count("SELECT count(*) FROM recipient WHERE address LIKE 'u100-%'") == 100);
    CHECK(w.count("SELECT count(*) FROM recipient WHERE address = 'carol@example.org'") == 0);
    w.check();
}

TEST_CASE("an account of before has no threads, and gets them") {
    TemporaryDirectory directory;
    Threaded w;
    uint64_t content = w.add();
    w.wait(World::finish(*w.server));
    w.crash();
    {
        storaged::Journal journal;
        storaged::Database db("accounts/alice/index.db", journal);
        make_older(db, 5);
        REQUIRE(db.sync_log());
    }
    w.start();
    w.alice = w.open("alice");
    CHECK(w.unthreaded() == 1);
    REQUIRE(w.call(*w.alice, proto::AssignThreads{{Threaded::facts(content, {{1}})}}));
    CHECK(w.threads_of({content}).front().number == content);
    w.check();
}
