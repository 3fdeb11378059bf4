#include <fstream>

#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;

namespace {

struct Fixture {
    TemporaryDirectory directory;
    World w;

    Result<proto::Enqueued> enqueue(std::vector<std::string> recipients, std::string_view text = "queued text") {
        proto::Enqueue request{};
        request.spool = w.spool(*w.smtpd, text);
        request.facts = World::facts(text);
        request.account = "alice";
        request.prefix = "Received: here\r\n";
        request.facts.smtputf8 = true;
        request.facts.message_id = "<id@example.org>";
        request.recipients = std::move(recipients);
        return w.call(w.smtpd, std::move(request));
    }
    std::vector<proto::QueueEntry> due(int64_t until, std::vector<uint64_t> except = {}, uint32_t limit = 100) {
        auto entries = w.call(w.queued, proto::QueueDue{until, limit, std::move(except)});
        REQUIRE(entries);
        return std::move(entries->entries);
    }
};

constexpr int64_t kFuture = 1ll << 40;
const std::string kLarge(70'000, 'q');  // gets a file

}  // namespace

TEST_CASE("a submission is queued once a recipient, told to queued, and goes with its last entry") {
    std::string text = GENERATE(std::string("queued text"), kLarge);
    size_t files = text == kLarge ? 1 : 0;
    Fixture f;
    auto queued = f.enqueue({"a@example.com", "b@example.com", "c@example.net"}, text);
    REQUIRE(queued);
    REQUIRE(queued->ids.size() == 3);
    f.w.settle();
    CHECK(f.w.queue_events.grew == 1);
    f.w.crash();
    f.w.start();
    auto entries = f.due(kFuture);
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].id == queued->ids[0]);
    CHECK(entries[0].message == entries[2].message);
    CHECK(entries[0].account == "alice");
    CHECK(entries[0].mail_from == "sender@example.org");
    CHECK(entries[2].recipient == "c@example.net");
    CHECK(entries[0].size == text.size() + 16);
    CHECK(entries[0].smtputf8);
    CHECK_FALSE(entries[0].has_8bit);
    CHECK(entries[0].message_id == "<id@example.org>");
    CHECK(entries[0].attempts == 0);
    auto opened = f.w.call(f.w.queued, proto::QueueOpen{entries[1].id});
    REQUIRE(opened);
    CHECK(opened->prefix == "Received: here\r\n");
    CHECK(opened->info == "info of " + text);
    CHECK(text_of(opened->file) == text);
    CHECK(f.w.call(f.w.queued, proto::QueueRemove{{entries[0].id, entries[1].id, 4711}}));
    f.w.settle();
    CHECK(count_files("queue") == files);
    CHECK(f.w.call(f.w.queued, proto::QueueRemove{{entries[2].id}}));
    f.w.settle();
    CHECK(count_files("queue") == 0);
    CHECK(f.due(kFuture).empty());
    CHECK(error_of(f.w.call(f.w.queued, proto::QueueOpen{entries[1].id})).code == ErrorCode::not_found);
    auto next = f.w.call(f.w.queued, proto::QueueNext{{}});
    REQUIRE(next);
    CHECK(next->count == 0);
    CHECK_FALSE(next->when);
}

TEST_CASE("entries come due in the order of their next attempt, but for those named") {
    Fixture f;
    auto ids = f.enqueue({"a@x", "b@x", "c@x", "d@x"})->ids;
    auto set = [&](uint64_t id, int64_t when) {
        proto::QueueUpdate update{id, when, when - 1, 3, std::string(3000, 'e'), true};
        REQUIRE(f.w.call(f.w.queued, update));
    };
    set(ids[0], 4000);
    set(ids[1], 3000);
    set(ids[2], 2000);
    set(ids[3], 9000);
    auto entries = f.due(4000);
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].id == ids[2]);
    CHECK(entries[2].id == ids[0]);
    CHECK(entries[0].attempts == 3);
    CHECK(entries[0].delay_notified);
    CHECK(entries[0].last_attempt == 1999);
    CHECK(entries[0].last_error.size() == 1000);
    CHECK(f.due(4000, {ids[2]}, 1)[0].id == ids[1]);
    auto next = f.w.call(f.w.queued, proto::QueueNext{{ids[2], ids[1]}});
    REQUIRE(next);
    CHECK(next->when == 4000);
    CHECK(next->count == 4);
    auto scanned = f.w.call(f.w.queued, proto::QueueScan{ids[1], 10});
    REQUIRE(scanned);
    REQUIRE(scanned->entries.size() == 2);
    CHECK(scanned->entries[0].id == ids[2]);
    CHECK(error_of(f.w.call(f.w.queued, proto::QueueUpdate{4711, 0, 0, 0, "", false})).code == ErrorCode::not_found);
}

TEST_CASE("a queue entry is delivered to an account here once, and removed") {
    Fixture f;
    std::string text = GENERATE(std::string("queued text"), kLarge);
    auto ids = f.enqueue({"bob@here", "bob@here", "nobody@here"}, text)->ids;
    proto::QueueDeliverLocal request{ids[0], {1650000000, 0}, {"bob", "Lists", "Return-Path: <>\r\n"}};
    CHECK(f.w.call(f.w.queued, request));
    CHECK(error_of(f.w.call(f.w.queued, request)).code == ErrorCode::not_found);
    proto::QueueDeliverLocal unknown{ids[2], {1650000000, 0}, {"nobody", "", ""}};
    CHECK(error_of(f.w.call(f.w.queued, unknown)).code == ErrorCode::not_found);
    CHECK(f.due(kFuture).size() == 2);
    auto bob = f.w.open("bob");
    auto opened = f.w.call(*bob, proto::OpenMailbox{"Lists"});
    REQUIRE(opened);
    CHECK(opened->count == 1);
    auto files = f.w.call(*bob, proto::OpenMessages{opened->mailbox.id, {{1}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 1);
    CHECK(files->messages[0].prefix == "Return-Path: <>\r\nReceived: here\r\n");
    CHECK(text_of(files->messages[0]) == text);
}

TEST_CASE("a crash between delivering a queue entry and removing it does not deliver twice") {
    Fixture f;
    auto ids = f.enqueue({"bob@here"}, kLarge)->ids;
    f.w.wait(World::finish(*f.w.server));
    f.w.crash();
    std::filesystem::copy("queue.db", "before.db");
    f.w.start();
    proto::QueueDeliverLocal request{ids[0], {1650000000, 0}, {"bob", "", ""}};
    CHECK(f.w.call(f.w.queued, request));
    f.w.wait(World::finish(*f.w.server));
    f.w.crash();
    // As if the removal had never been committed.
    std::filesystem::rename("before.db", "queue.db");
    std::filesystem::create_directories("queue/0");
    if (!std::filesystem::exists("queue/0/1")) std::ofstream("queue/0/1") << kLarge;
    f.w.start();
    REQUIRE(f.due(kFuture).size() == 1);
    CHECK(f.w.call(f.w.queued, request));
    CHECK(f.due(kFuture).empty());
    auto bob = f.w.open("bob");
    CHECK(f.w.call(*bob, proto::OpenMailbox{"INBOX"})->count == 1);
    f.w.settle();
    CHECK(f.w.stored("bob") == 1);
}

TEST_CASE("submissions out of bounds are refused") {
    Fixture f;
    CHECK(error_of(f.enqueue({})).code == ErrorCode::bad_request);
    CHECK(error_of(f.enqueue({std::string(2000, 'a')})).code == ErrorCode::bad_request);
    CHECK(error_of(f.enqueue(std::vector<std::string>(10001, "a@x"))).code == ErrorCode::bad_request);
    f.w.settle();
    CHECK(count_files("queue") == 0);
    CHECK(count_files("spool") == 0);
}
