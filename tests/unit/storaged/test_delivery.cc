#include "common/sandbox/sanitized.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;

namespace {

constexpr std::string_view kText = "Subject: hello\r\n\r\nbody\r\n";

}  // namespace

TEST_CASE("a delivered message is listed, opened and read back byte for byte") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.deliver("alice", "", kText));
    auto alice = w.open("alice");
    auto opened = w.call(*alice, proto::OpenMailbox{"inbox"});
    REQUIRE(opened);
    CHECK(opened->mailbox.name == "INBOX");
    CHECK(opened->mailbox.messages == 1);
    CHECK(opened->mailbox.unseen == 1);
    CHECK(opened->mailbox.uidnext == 2);
    auto rows = rows_of(*opened);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].uid == 1);
    CHECK(rows[0].size == kText.size() + 11);
    CHECK(rows[0].received == 1700000000);
    CHECK(rows[0].received_zone == 60);
    CHECK(rows[0].modseq == opened->mailbox.highest_modseq);
    // Sealed: nobody can change what others read.
    CHECK(ftruncate(opened->rows.get(), 0) != 0);
    CHECK(pwrite(opened->rows.get(), "x", 1, 0) < 0);
    auto files = w.call(*alice, proto::OpenMessages{opened->mailbox.id, {{1}, {2}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 1);
    CHECK(files->messages[0].prefix == "Prefix: x\r\n");
    CHECK(files->messages[0].info == "info of " + std::string(kText));
    CHECK(text_of(files->messages[0]) == kText);
    for (bool prefix : {false, true}) {
        auto infos = w.call(*alice, proto::FetchInfos{opened->mailbox.id, {{1}}, prefix});
        REQUIRE(infos);
        REQUIRE(infos->messages.size() == 1);
        std::string info = "info of " + std::string(kText);
        CHECK(infos->messages[0].info == info.size());
        CHECK(infos->messages[0].prefix == (prefix ? 11 : 0));
        CHECK(infos->bytes == info + (prefix ? "Prefix: x\r\n" : ""));
    }
    CHECK(count_files("spool") == 0);
}

TEST_CASE("mail and its numbers outlive a clean end and a crash") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.deliver("alice", "", "one"));
    w.restart();
    CHECK_FALSE(w.deliver("alice", "", "two"));
    w.crash();
    w.start();
    CHECK_FALSE(w.deliver("alice", "Lists/mox", "three"));
    auto alice = w.open("alice");
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    auto rows = rows_of(*inbox);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].uid == 1);
    CHECK(rows[1].uid == 2);
    CHECK(rows[1].modseq > rows[0].modseq);
    auto files = w.call(*alice, proto::OpenMessages{inbox->mailbox.id, {{1}, {2}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 2);
    CHECK(text_of(files->messages[0]) == "one");
    CHECK(text_of(files->messages[1]) == "two");
    auto lists = w.call(*alice, proto::OpenMailbox{"Lists/mox"});
    REQUIRE(lists);
    CHECK(lists->count == 1);
    CHECK(lists->mailbox.highest_modseq > rows[1].modseq);
    CHECK(count_files("accounts/alice/stray") == 0);
}

TEST_CASE("one message to many recipients: each gets an outcome of its own") {
    TemporaryDirectory directory;
    World w;
    w.accounts.clear();
    std::vector<proto::DeliveryTarget> targets;
    for (int i = 0; i < 100; i++) {
        std::string name = "user" + std::to_string(i);
        w.accounts.push_back({name, 0});
        targets.push_back({name, "", "To: " + name + "\r\n"});
    }
    w.configure();
    targets.push_back({"nobody", "", ""});
    targets.push_back({"user3", "bad//name", ""});
    targets.push_back({"user3", "Other", ""});
    auto outcomes = w.deliver_to(targets, kText);
    REQUIRE(outcomes);
    REQUIRE(outcomes->targets.size() == 103);
    for (size_t i = 0; i < 100; i++) CHECK_FALSE(outcomes->targets[i].error);
    REQUIRE(outcomes->targets[100].error);
    CHECK(outcomes->targets[100].error->code == ErrorCode::not_found);
    REQUIRE(outcomes->targets[101].error);
    CHECK(outcomes->targets[101].error->code == ErrorCode::bad_request);
    CHECK_FALSE(outcomes->targets[102].error);
    w.settle();
    CHECK(w.stored("user3") == 2);
    auto client = w.open("user99");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    CHECK(inbox->count == 1);
}

TEST_CASE("a large message to many recipients is one file on disk under many names, none left over") {
    TemporaryDirectory directory;
    World w;
    std::string large(pack::kMaxContent + 1, 'x');
    auto outcomes = w.deliver_to({{"alice", "", "To: a\r\n"}, {"bob", "", "To: b\r\n"}, {"bob", "Other", ""}}, large);
    REQUIRE(outcomes);
    w.settle();
    CHECK(w.stored("alice") == 1);
    CHECK(w.stored("bob") == 2);
    struct stat st{};
    REQUIRE(stat("accounts/bob/msg/0/1", &st) == 0);
    CHECK(st.st_nlink == 3);
}

TEST_CASE("of several recipients those that fail wait in the queue, so that the sender need not send again") {
    TemporaryDirectory directory;
    World w;
    w.accounts = {{"alice", 0}, {"bob", 10}};
    w.configure();
    std::vector<proto::DeliveryTarget> targets = {
        {"alice", "", "Return-Path: <>\r\n", "Received: x\r\n", "alice@example.org"},
        {"bob", "", "Return-Path: <>\r\n", "Received: y\r\n", "bob@example.org"},
        {"gone", "", "", "", ""}};
    auto outcomes = w.deliver_to(targets, kText);
    REQUIRE(outcomes);
    CHECK_FALSE(outcomes->targets[0].error);
    REQUIRE(outcomes->targets[1].error);
    CHECK(outcomes->targets[1].error->code == ErrorCode::over_quota);
    CHECK(outcomes->targets[1].queued);
    REQUIRE(outcomes->targets[2].error);
    CHECK_FALSE(outcomes->targets[2].queued);  // nobody to queue it for
    w.crash();
    w.start();
    auto due = w.call(w.queued, proto::QueueDue{int64_t{1} << 40, 10, {}});
    REQUIRE(due);
    REQUIRE(due->entries.size() == 1);
    CHECK(due->entries[0].recipient == "bob@example.org");
    CHECK(due->entries[0].mail_from == "sender@example.org");
    CHECK(due->entries[0].account.empty());
    auto opened = w.call(w.queued, proto::QueueOpen{due->entries[0].id});
    REQUIRE(opened);
    CHECK(opened->prefix == "Received: y\r\n");
    // Room is made, and the queue delivers what waited.
    w.accounts = {{"alice", 0}, {"bob", 0}};
    w.configure();
    proto::DeliveryTarget bob{"bob", "", "Return-Path: <>\r\n"};
    REQUIRE(w.call(w.queued, proto::QueueDeliverLocal{due->entries[0].id, {1700000000, 0}, bob}));
    auto client = w.open("bob");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    CHECK(inbox->count == 1);
}

TEST_CASE("when all recipients fail nothing is queued") {
    TemporaryDirectory directory;
    World w;
    w.accounts = {{"alice", 10}, {"bob", 10}};
    w.configure();
    auto outcomes =
        w.deliver_to({{"alice", "", "", "", "alice@example.org"}, {"bob", "", "", "", "bob@example.org"}}, kText);
    REQUIRE(outcomes);
    for (const auto& outcome : outcomes->targets) {
        CHECK(outcome.error);
        CHECK_FALSE(outcome.queued);
    }
    auto due = w.call(w.queued, proto::QueueDue{int64_t{1} << 40, 10, {}});
    REQUIRE(due);
    CHECK(due->entries.empty());
}

TEST_CASE("a spool file that can still be changed is refused") {
    TemporaryDirectory directory;
    World w;
    auto file = w.call(w.smtpd, proto::CreateSpool{});
    REQUIRE(file);
    World::write_all(file->file, kText);
    SECTION("a descriptor is open") {
        auto result = w.call(w.smtpd, proto::Deliver{file->spool, World::facts(kText), {{"alice", "", ""}}});
        CHECK(error_of(result).code == ErrorCode::bad_request);
    }
    SECTION("a writable mapping is left") {
        void* map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file->file.get(), 0);
        REQUIRE(map != MAP_FAILED);
        file->file.reset();
        auto result = w.call(w.smtpd, proto::Deliver{file->spool, World::facts(kText), {{"alice", "", ""}}});
        CHECK(error_of(result).code == ErrorCode::bad_request);
        munmap(map, 4096);
    }
    w.settle();
    CHECK(count_files("spool") == 0);
    CHECK(count_files("accounts/alice") == 0);
}

TEST_CASE("a spool file is used once, with its true size, by its own channel") {
    TemporaryDirectory directory;
    World w;
    uint64_t file = w.spool(*w.smtpd, kText);
    SECTION("another channel") {
        auto other = w.connect(Role::smtpd);
        auto result = w.call(other, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}});
        CHECK(error_of(result).code == ErrorCode::not_found);
        auto own = w.call(w.smtpd, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}});
        CHECK(own);
    }
    SECTION("twice") {
        CHECK(w.call(w.smtpd, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}}));
        auto again = w.call(w.smtpd, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}});
        CHECK(error_of(again).code == ErrorCode::not_found);
    }
    SECTION("another size") {
        auto facts = World::facts(kText);
        facts.size++;
        auto result = w.call(w.smtpd, proto::Deliver{file, facts, {{"alice", "", ""}}});
        CHECK(error_of(result).code == ErrorCode::bad_request);
    }
    SECTION("dropped") {
        w.smtpd->send(proto::DropSpool{file});
        auto result = w.call(w.smtpd, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}});
        CHECK(error_of(result).code == ErrorCode::not_found);
    }
    SECTION("the channel is gone") {
        w.smtpd.reset();
    }
    w.settle();
    CHECK(count_files("spool") == 0);
}

TEST_CASE("an account over its quota refuses for now and heals") {
    TemporaryDirectory directory;
    World w;
    w.accounts[0].quota = 100;
    w.configure();
    CHECK_FALSE(w.deliver("alice", "", std::string(60, 'a')));
    auto error = w.deliver("alice", "", std::string(60, 'b'));
    REQUIRE(error);
    CHECK(error->code == ErrorCode::over_quota);
    CHECK(error->is_temporary());
    w.settle();
    CHECK(w.stored("alice") == 1);
    auto alice = w.open("alice");
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    auto copied = w.call(*alice, proto::CopyMessages{inbox->mailbox.id, {{1, 1}}, "Archive"});
    CHECK(error_of(copied).code == ErrorCode::over_quota);
    CHECK(
        w.call(*alice, proto::StoreFlags{inbox->mailbox.id, {{1, 9}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
    CHECK(w.call(*alice, proto::Expunge{inbox->mailbox.id, {{1, 9}}}));
    CHECK_FALSE(w.deliver("alice", "", std::string(60, 'b')));
}

TEST_CASE("a disk that is nearly full refuses new mail, and takes it again later") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.deliver("alice", "", kText));
    uint64_t file = w.spool(*w.smtpd, kText);
    w.server->engine().reserve.set(UINT64_MAX);
    CHECK(error_of(w.call(w.smtpd, proto::CreateSpool{})).code == ErrorCode::no_space);
    auto outcomes = w.call(w.smtpd, proto::Deliver{file, World::facts(kText), {{"alice", "", ""}}});
    CHECK(error_of(outcomes).code == ErrorCode::no_space);
    w.server->engine().reserve.set(0);
    CHECK_FALSE(w.deliver("alice", "", kText));
}

namespace {

async::Task<bool> deliver_one(World& w, size_t number) {
    auto file = co_await w.smtpd->call(proto::CreateSpool{}, async::in(30s));
    if (!file) co_return false;
    std::string text = "message " + std::to_string(number);
    if (write(file->file.get(), text.data(), text.size()) < 0) co_return false;
    file->file.reset();
    proto::Deliver request{file->spool, World::facts(text), {}};
    request.targets.push_back({number % 2 == 0 ? "alice" : "bob", "", ""});
    auto outcomes = co_await w.smtpd->call(std::move(request), async::in(30s));
    co_return outcomes && !outcomes->targets[0].error;
}

async::Task<size_t> deliver_many(World& w, size_t count) {
    std::vector<async::Task<bool>> tasks;
    for (size_t i = 0; i < count; i++) tasks.push_back(deliver_one(w, i));
    size_t good = 0;
    for (auto& task : tasks) {
        bool ok = co_await task;
        good += ok ? 1 : 0;
    }
    co_return good;
}

}  // namespace

TEST_CASE("deliveries that wait together share their flushes and commits") {
    TemporaryDirectory directory;
    World w;
    REQUIRE(w.wait(deliver_many(w, 2)) == 2);  // opens both accounts
    // How many wait at the same moment is the scheduler's to say; on a machine that is busy the best of a few tells.
    constexpr int kRounds = 5;
    uint64_t flushes = UINT64_MAX;
    uint64_t commits = UINT64_MAX;
    for (int round = 0; round < kRounds; round++) {
        uint64_t flushes_before = w.server->engine().journal.counters().flushes;
        uint64_t commits_before = w.server->engine().counters.transactions;
        CHECK(w.wait(deliver_many(w, 50)) == 50);
        flushes = std::min(flushes, w.server->engine().journal.counters().flushes - flushes_before);
        commits = std::min<uint64_t>(commits, w.server->engine().counters.transactions - commits_before);
    }
    // With sanitizers threads are too slow to wait together.
    CHECK(flushes <= (MOX_SANITIZED ? 50 : 15));
    CHECK(commits <= (MOX_SANITIZED ? 50 : 25));
    auto alice = w.open("alice");
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    CHECK(inbox->count == 1 + 25 * kRounds);
}

TEST_CASE("a file without a row is put aside after a crash, never deleted or overwritten") {
    TemporaryDirectory directory;
    World w;
    std::string large(pack::kMaxContent + 1, 'x');
    CHECK_FALSE(w.deliver("alice", "", large));
    SECTION("found at the next start") {
        w.crash();
        REQUIRE(link("accounts/alice/msg/0/1", "accounts/alice/msg/0/2") == 0);
        REQUIRE(link("accounts/alice/msg/0/1", "accounts/alice/msg/0/77") == 0);
        w.start();
        CHECK_FALSE(w.deliver("alice", "", large));
        CHECK(count_files("accounts/alice/stray") == 2);
        CHECK(w.stored("alice") == 2);
        // A number that was seen on disk is not used again.
        CHECK(std::filesystem::exists("accounts/alice/msg/0/78"));
    }
    SECTION("met by a delivery after a clean end") {
        w.restart();
        REQUIRE(link("accounts/alice/msg/0/1", "accounts/alice/msg/0/2") == 0);
        CHECK_FALSE(w.deliver("alice", "", "y" + large));
        CHECK(count_files("accounts/alice/stray") == 1);
        auto alice = w.open("alice");
        auto files = w.call(*alice, proto::OpenMessages{{1}, {{2}}});
        REQUIRE(files);
        REQUIRE(files->messages.size() == 1);
        CHECK(text_of(files->messages[0]).starts_with("yx"));
    }
}

TEST_CASE("a database of a newer version is refused and left alone") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.deliver("alice", "", "one"));
    w.wait(World::finish(*w.server));
    w.crash();
    {
        storaged::Journal journal;
        storaged::Database db("accounts/alice/index.db", journal);
        db.execute("PRAGMA user_version = 1000");
        REQUIRE(db.sync_log());
    }
    w.start();
    auto error = w.deliver("alice", "", "two");
    REQUIRE(error);
    CHECK(error->is_temporary());
    CHECK(error->code == ErrorCode::unavailable);
    CHECK(error_of(w.call(w.authd, proto::OpenAccount{"alice"})).code == ErrorCode::unavailable);
    CHECK_FALSE(w.deliver("bob", "", "two"));
}

TEST_CASE("a database from before a store had a history gets one, and keeps its mail") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.deliver("alice", "", "one"));
    w.wait(World::finish(*w.server));
    w.crash();
    {
        storaged::Journal journal;
        storaged::Database db("accounts/alice/index.db", journal);
        make_older(db, 3);
        REQUIRE(db.sync_log());
    }
    w.start();
    CHECK_FALSE(w.deliver("alice", "", "two"));
    CHECK(w.stored("alice") == 2);
    auto read = [](storaged::MailStore& store) -> Result<bool> {
        return store.db().query("SELECT 1 FROM state WHERE history != 0").next();
    };
    CHECK(w.wait(w.server->accounts().find("alice")->run(storaged::Access::read, read)).value_or(false));
}

TEST_CASE("a message of a role that may not send it costs that channel, and nothing else") {
    TemporaryDirectory directory;
    World w;
    CHECK_FALSE(w.call(w.smtpd, proto::OpenAccount{"alice"}));
    CHECK(w.smtpd->lost());
    CHECK_FALSE(w.call(w.authd, proto::QueueDue{0, 1, {}}));
    CHECK(w.authd->lost());
    CHECK(w.call(w.queued, proto::QueueDue{0, 1, {}}));
}
