// Expiry of mailboxes, removed accounts, the quota of the whole.
#include <ctime>
#include <fstream>

#include "storaged/retention.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
namespace fs = std::filesystem;

namespace {

using Expiries = std::vector<proto::ConfigureStoraged::Expiry>;
using Expired = storaged::MailStore::Expired;

Expired expire(World& w, Expiries expiries, int64_t now) {
    auto account = w.server->accounts().find("alice");
    auto work = [expiries, now](storaged::MailStore& store) { return store.expire(expiries, now); };
    auto expired = w.wait(account->run(storaged::Access::write, std::move(work)));
    REQUIRE(expired);
    return *expired;
}

uint64_t count(World& w, const std::string& mailbox) {
    auto client = w.open("alice");
    auto columns = w.call(*client, proto::OpenMailbox{mailbox});
    REQUIRE(columns);
    return columns->count;
}

}  // namespace

TEST_CASE("messages expire by the time they have been in a mailbox") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "Trash", "text"));
    REQUIRE_FALSE(w.deliver("alice", "INBOX", "text"));
    auto worker = w.open("alice");
    int64_t now = std::time(nullptr);
    Expiries rules = {{"Trash", 3600}, {"Nowhere", 3600}, {"bad//name", 3600}};
    Expired none = expire(w, rules, now + 3000);
    CHECK(none.messages == 0);
    CHECK(none.next_due >= now + 3600 - 5);
    CHECK(none.next_due <= now + 3605);
    Expired all = expire(w, rules, now + 3700);
    CHECK(all.messages == 3);
    CHECK_FALSE(all.more);
    CHECK(all.next_due == now + 3700 + 3600);
    CHECK(count(w, "Trash") == 0);
    CHECK(count(w, "INBOX") == 1);
    w.settle();
    CHECK(worker->events.changed.size() == 1);  // an open session hears of it
    CHECK(w.stored("alice") == 1);
}

TEST_CASE("expiry goes in pieces") {
    TemporaryDirectory directory;
    World w;
    auto client = w.open("alice");
    for (int i = 0; i < 3; i++) {
        proto::AppendMessages request{"Junk", {}};
        for (int n = 0; n < 500; n++) request.items.push_back({0, 1, 0, {}, {1, 0}, "info", "x"});
        REQUIRE(w.call(*client, request));
    }
    int64_t later = std::time(nullptr) + 10000;
    Expired first = expire(w, {{"Junk", 3600}}, later);
    CHECK(first.messages == 1000);
    CHECK(first.more);
    Expired second = expire(w, {{"Junk", 3600}}, later);
    CHECK(second.messages == 500);
    CHECK_FALSE(second.more);
}

TEST_CASE("removed accounts are deleted after their time, and nothing else") {
    TemporaryDirectory directory;
    for (const char* name : {"a.1700000000", "b.x.1700000000.2", "c.1800000000", "notes", "d.17"}) {
        fs::create_directories(std::string("removed/") + name);
        std::ofstream(std::string("removed/") + name + "/file") << "x";
    }
    storaged::delete_removed(std::chrono::hours(24), 1700000000 + 86400);
    CHECK(fs::exists("removed/a.1700000000"));
    storaged::delete_removed(std::chrono::hours(24), 1700000000 + 86401);
    CHECK_FALSE(fs::exists("removed/a.1700000000"));
    CHECK_FALSE(fs::exists("removed/b.x.1700000000.2"));
    for (const char* name : {"c.1800000000", "notes", "d.17"}) CHECK(fs::exists(std::string("removed/") + name));
}

TEST_CASE("the quota of the whole counts all accounts, also after a crash") {
    TemporaryDirectory directory;
    World w;
    std::string text(1000, 'x');
    REQUIRE_FALSE(w.deliver("alice", "", text));
    REQUIRE_FALSE(w.deliver("bob", "", text));
    uint64_t used = w.server->engine().counters.used;
    CHECK(used == 2 * (1000 + 11));
    auto limit = [&](uint64_t bytes) {
        proto::ConfigureStoraged config{};
        config.accounts = w.accounts;
        config.quota = bytes;
        w.server->configure(config);
    };
    limit(used + 1011);
    REQUIRE_FALSE(w.deliver("bob", "", text));
    REQUIRE(w.deliver("alice", "", text));
    CHECK(w.deliver("alice", "", text)->code == ErrorCode::over_quota);
    w.crash();
    w.start();
    // Known once each account was opened.
    w.open("alice");
    w.open("bob");
    CHECK(w.server->engine().counters.used == 3 * 1011);
    limit(3 * 1011);
    CHECK(w.deliver("bob", "", text)->code == ErrorCode::over_quota);
    REQUIRE(w.wait(w.server->remove_account({"alice"})));
    CHECK(w.server->engine().counters.used == 2 * 1011);
    CHECK_FALSE(w.deliver("bob", "", text));
}
