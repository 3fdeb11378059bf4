// Imports: what is known stays out, what is new comes in, in the commit that remembers it.
#include "proto/admin.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;

namespace {

std::unique_ptr<Client> open_as_admin(World& w, const std::string& account) {
    auto opened = w.wait(w.server->accounts().open_channel(account, Role::moxctl));
    REQUIRE(opened);
    return std::make_unique<Client>(std::move(opened->channel));
}

proto::ImportItem item(const std::string& text, std::string key, std::vector<std::string> keywords = {}) {
    key.resize(proto::kImportKeySize, '.');
    return {key, {0, text.size(), proto::kSeen, std::move(keywords), {1700000000, 0}, "info", text}};
}

std::vector<proto::ImportState> import(World& w, Client& client, uint64_t run, std::vector<proto::ImportItem> items) {
    auto imported = w.call(client, proto::ImportMessages{"INBOX", run, std::move(items)});
    REQUIRE(imported);
    std::vector<proto::ImportState> states;
    for (const auto& outcome : imported->messages) states.push_back(outcome.state);
    return states;
}

using States = std::vector<proto::ImportState>;
constexpr auto kAdded = proto::ImportState::added;
constexpr auto kKnown = proto::ImportState::known;

}  // namespace

TEST_CASE("an import that is made again adds what is missing") {
    TemporaryDirectory directory;
    World w;
    auto admin = open_as_admin(w, "alice");
    auto worker = w.open("alice");
    CHECK(import(w, *admin, 1, {item("one", "1"), item("two", "2")}) == States{kAdded, kAdded});
    w.settle();
    CHECK(worker->events.changed.size() == 1);  // an open session hears of it
    CHECK(import(w, *admin, 2, {item("one", "1"), item("two", "2"), item("three", "3")}) ==
          States{kKnown, kKnown, kAdded});
    auto columns = w.call(*worker, proto::OpenMailbox{"INBOX"});
    REQUIRE(columns);
    CHECK(columns->count == 3);
    admin.reset();
    worker.reset();
    w.restart();
    admin = open_as_admin(w, "alice");
    CHECK(import(w, *admin, 3, {item("three", "3")}) == States{kKnown});
}

TEST_CASE("the same message several times in a source comes in as often") {
    TemporaryDirectory directory;
    World w;
    auto admin = open_as_admin(w, "alice");
    CHECK(import(w, *admin, 1, {item("x", "k"), item("x", "k")}) == States{kAdded, kAdded});
    CHECK(import(w, *admin, 1, {item("x", "k")}) == States{kAdded});
    CHECK(import(w, *admin, 2, {item("x", "k"), item("x", "k")}) == States{kKnown, kKnown});
    CHECK(import(w, *admin, 2, {item("x", "k"), item("x", "k")}) == States{kKnown, kAdded});
    CHECK(import(w, *admin, 3, std::vector(5, item("x", "k"))) == States{kKnown, kKnown, kKnown, kKnown, kAdded});
}

TEST_CASE("an import is refused message by message") {
    TemporaryDirectory directory;
    World w;
    w.accounts[0].quota = 10;
    w.configure();
    auto admin = open_as_admin(w, "alice");
    CHECK(import(w, *admin, 1, {item("123456", "1"), item("123456", "2"), item("1234", "3")}) ==
          States{kAdded, proto::ImportState::refused, kAdded});
    w.accounts[0].quota = 0;
    w.configure();
    // What was refused is not remembered.
    CHECK(import(w, *admin, 2, {item("123456", "1"), item("123456", "2")}) == States{kKnown, kAdded});
    CHECK(error_of(w.call(*admin, proto::ImportMessages{"Nowhere", 1, {item("x", "x")}})).code == ErrorCode::not_found);
    auto bad = item("x", "x");
    bad.key = "short";
    CHECK(error_of(w.call(*admin, proto::ImportMessages{"INBOX", 1, {bad}})).code == ErrorCode::bad_request);
}

TEST_CASE("keywords that do not fit are left out, the message is not") {
    TemporaryDirectory directory;
    World w;
    auto admin = open_as_admin(w, "alice");
    std::vector<std::string> many;
    for (int i = 0; i < 70; i++) many.push_back("k" + std::to_string(i));
    CHECK(import(w, *admin, 1, {item("x", "1", many), item("y", "2", {"k1"}), item("z", "3", {"a b"})}) ==
          States{proto::ImportState::added_without_keywords, kAdded, proto::ImportState::added_without_keywords});
}

TEST_CASE("an administrator's account channel cannot do what a worker's can") {
    TemporaryDirectory directory;
    World w;
    auto admin = open_as_admin(w, "alice");
    CHECK(error_of(w.call(*admin, proto::DeleteMailbox{"Trash"})).code == ErrorCode::channel_lost);
}
