// Access rights between accounts (RFC 4314): every message that a guest may send, with every right.
#include "storaged/rights.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;

namespace {

constexpr uint32_t kRights[] = {proto::kLookupRight,  proto::kReadRight,          proto::kSeenRight,
                                proto::kWriteRight,   proto::kInsertRight,        proto::kPostRight,
                                proto::kCreateRight,  proto::kDeleteMailboxRight, proto::kDeleteMessageRight,
                                proto::kExpungeRight, proto::kAdminRight};

struct Shared : private TemporaryDirectory, public World {
    std::unique_ptr<Client> alice, bob;
    Shared() {
        accounts = {
            {.name = "alice", .quota = 0, .expiries = {}, .addresses = {"alice@example.org", "a@other.example"}},
            {.name = "bob", .quota = 0, .expiries = {}, .addresses = {"bob@example.org"}},
            {.name = "carol", .quota = 0, .expiries = {}, .addresses = {"carol@example.org"}},
            {.name = "eve", .quota = 0, .expiries = {}, .addresses = {"eve@elsewhere.example"}}};
        configure();
        alice = open("alice");
        bob = open("bob");
        REQUIRE(call(*alice, proto::CreateMailbox{"team", 0}));
        REQUIRE_FALSE(deliver("alice", "team", "first"));
        REQUIRE_FALSE(deliver("alice", "team", "second"));
    }
    Result<proto::Done> grant(const std::string& identifier, uint32_t rights, const std::string& mailbox = "team") {
        return call(*alice, proto::SetAcl{mailbox, identifier, proto::AclChange::replace, rights});
    }
    std::vector<std::string> names(Client& client) {
        auto list = call(client, proto::ListMailboxes{});
        REQUIRE(list);
        std::vector<std::string> names;
        for (auto& mailbox : list->mailboxes)
            if (!proto::owner_of(mailbox.name).empty()) names.push_back(mailbox.name);
        return names;
    }
    /// As the owner sees it.
    proto::MailboxColumns team() {
        auto columns = call(*alice, proto::OpenMailbox{"team"});
        REQUIRE(columns);
        return std::move(*columns);
    }
    proto::MailboxId id_for_bob() {
        REQUIRE(grant("bob", proto::kReadRight));
        auto columns = call(*bob, proto::OpenMailbox{"#users/alice/team"});
        REQUIRE(columns);
        return columns->mailbox.id;
    }
};

/// What came of it: "ok", or how it was refused.
template <class T>
std::string outcome(const Result<T>& result) {
    if (result) return "ok";
    if (result.error().code == ErrorCode::not_found) return "hidden";
    return result.error().code == ErrorCode::denied ? "denied" : "other: " + result.error().text;
}

/// Tries a request with each single right taken from what it needs, and with no more than it needs.
template <class Try>
void check_needed(Shared& w, uint32_t needed, Try attempt) {
    for (uint32_t right : kRights) {
        if ((needed & right) == 0) continue;
        REQUIRE(w.grant("bob", (needed & ~right) | (right == proto::kLookupRight ? 0 : proto::kLookupRight)));
        INFO("without right " << right);
        CHECK(attempt() == (right == proto::kLookupRight ? "hidden" : "denied"));
        REQUIRE(w.grant("bob", needed & ~right & ~proto::kLookupRight));
        // RFC 4314 6; who may read it knows of it
        bool reads = (needed & ~right & proto::kReadRight) != 0;
        CHECK((attempt() == "hidden" || (reads && attempt() == "denied")));
    }
    REQUIRE(w.grant("bob", proto::kAllRights & ~needed));
    CHECK(attempt() != "ok");
    REQUIRE(w.grant("bob", needed));
    CHECK(attempt() == "ok");
}

}  // namespace

TEST_CASE("how entries of an access control list come together") {
    std::vector<proto::AclEntry> entries = {{"anyone", 0b0011}, {"bob", 0b0110}, {"-bob", 0b0010}, {"-anyone", 0b1000}};
    CHECK(rights_for(entries, "bob") == 0b0101);
    CHECK(rights_for(entries, "carol") == 0b0011);
    entries = {{"bob", 0b1100}, {"-anyone", 0b0100}};
    CHECK(rights_for(entries, "bob") == 0b1000);
    CHECK(rights_for(entries, "carol") == 0);
    CHECK(shares_with({{1, entries}}, "bob"));
    CHECK_FALSE(shares_with({{1, entries}}, "carol"));
}

TEST_CASE("every request of a guest needs its rights") {
    Shared w;
    const std::string name = "#users/alice/team";
    auto id = w.id_for_bob();
    using namespace proto;
    auto call = [&](auto message) { return outcome(w.call(*w.bob, std::move(message))); };
    check_needed(w, kReadRight, [&] { return call(OpenMailbox{name}); });
    check_needed(w, kReadRight, [&] { return call(OpenMailbox{{}, id}); });
    check_needed(w, kReadRight, [&] { return call(GetChanges{id, 0}); });
    check_needed(w, kReadRight, [&] { return call(FetchInfos{id, {{1}}}); });
    check_needed(w, kReadRight, [&] { return call(OpenMessages{id, {{1}}}); });
    check_needed(w, kReadRight, [&] { return call(GetQuota{name}); });
    check_needed(w, kAdminRight, [&] { return call(GetAcl{name}); });
    check_needed(w, kAdminRight, [&] { return call(GetFixedRights{name, "carol"}); });
    check_needed(w, kAdminRight, [&] { return call(SetAcl{name, "carol", AclChange::replace, kReadRight}); });
    check_needed(w, kLookupRight | kReadRight, [&] { return call(GetMetadata{name}); });
    check_needed(w, kLookupRight | kWriteRight, [&] { return call(SetMetadata{name, {{"/shared/x", "y"}}}); });
    check_needed(w, kReadRight | kSeenRight,
                 [&] { return call(StoreFlags{id, {{1, 1}}, StoreMode::add, kSeen, {}, {}}); });
    check_needed(w, kReadRight | kWriteRight,
                 [&] { return call(StoreFlags{id, {{1, 1}}, StoreMode::add, kFlagged, {}, {}}); });
    check_needed(w, kReadRight | kWriteRight,
                 [&] { return call(StoreFlags{id, {{1, 1}}, StoreMode::add, 0, {"word"}, {}}); });
    check_needed(w, kReadRight | kDeleteMessageRight,
                 [&] { return call(StoreFlags{id, {{1, 1}}, StoreMode::remove, proto::kDeleted, {}, {}}); });
    check_needed(w, kReadRight | kExpungeRight, [&] { return call(Expunge{id, {{1, 9}}}); });
    check_needed(w, kReadRight | kInsertRight, [&] { return call(CopyMessages{id, {{1, 1}}, name}); });
    check_needed(w, kReadRight | kInsertRight | kDeleteMessageRight | kExpungeRight,
                 [&] { return call(MoveMessages{id, {{1, 1}}, name}); });
    int n = 0;
    check_needed(w, kCreateRight, [&] { return call(CreateMailbox{name + "/" + std::to_string(n++), 0}); });
    check_needed(w, kInsertRight, [&] {
        return call(AppendMessages{name, {{.spool = 0, .size = 1, .info = "i", .content = "x"}}, {}});
    });
}

TEST_CASE("removing and renaming a mailbox of another") {
    Shared w;
    using namespace proto;
    REQUIRE(w.call(*w.alice, CreateMailbox{"team/sub", 0}));
    auto call = [&](auto message) { return outcome(w.call(*w.bob, std::move(message))); };
    REQUIRE(w.grant("bob", kLookupRight | kCreateRight));
    REQUIRE(w.grant("bob", kLookupRight | kReadRight, "team/sub"));
    CHECK(call(DeleteMailbox{"#users/alice/team/sub"}) == "denied");
    CHECK(call(RenameMailbox{"#users/alice/team/sub", "#users/alice/team/new"}) == "denied");
    REQUIRE(w.grant("bob", kLookupRight | kDeleteMailboxRight, "team/sub"));
    CHECK(call(RenameMailbox{"#users/alice/team/sub", "#users/alice/top"}) == "hidden");
    CHECK(call(RenameMailbox{"#users/alice/team/sub", "mine"}).starts_with("other"));
    CHECK(call(RenameMailbox{"#users/alice/team/sub", "#users/alice/team/new"}) == "ok");
    REQUIRE(w.grant("bob", kLookupRight));
    CHECK(call(RenameMailbox{"#users/alice/team/new", "#users/alice/team/newer"}) == "denied");
    CHECK(call(DeleteMailbox{"#users/alice/team/new"}) == "ok");
    CHECK(call(CreateMailbox{"#users/alice/top", 0}) == "hidden");
    REQUIRE(w.grant("bob", kAllRights, "INBOX"));
    CHECK(call(RenameMailbox{"#users/alice/INBOX", "#users/alice/INBOX/old"}).starts_with("other"));
}

TEST_CASE("nobody learns of a mailbox without the right to look it up") {
    Shared w;
    CHECK(w.names(*w.bob).empty());
    for (std::string name : {"#users/alice/team", "#users/alice/none", "#users/none/team", "#users/eve/INBOX",
                             "#users/alice", "#users/", "#users/bob/INBOX"})
        CHECK(outcome(w.call(*w.bob, proto::OpenMailbox{name})) == "hidden");
    REQUIRE(w.grant("bob", proto::kLookupRight));
    CHECK(w.names(*w.bob) == std::vector<std::string>{"#users/alice/team"});
    auto list = w.call(*w.bob, proto::ListMailboxes{});
    REQUIRE(list);
    const auto& shared = list->mailboxes.back();
    CHECK((shared.messages == 0 && shared.uidvalidity == 0 && shared.uidnext == 0 && shared.size == 0));
    CHECK(shared.rights == proto::kLookupRight);
    REQUIRE(w.grant("bob", proto::kLookupRight | proto::kReadRight));
    CHECK(w.call(*w.bob, proto::ListMailboxes{})->mailboxes.back().messages == 2);
    // Ids made up lead nowhere.
    for (uint64_t number : {1, 2, 3, 4, 99})
        for (uint64_t id : {1, 2, 99})
            if (number != 1 || id == 99) {
                proto::MailboxId made_up{number << proto::kOwnerShift | id};
                CHECK(outcome(w.call(*w.bob, proto::GetChanges{made_up, 0})) == "hidden");
            }
}

TEST_CASE("who can be given rights") {
    Shared w;
    auto code = [&](const std::string& identifier) {
        auto set = w.grant(identifier, proto::kReadRight);
        return set ? std::string("ok") : set.error().code == ErrorCode::exists ? "owner" : "none";
    };
    CHECK(code("bob") == "ok");
    CHECK(code("Carol@Example.org") == "ok");
    CHECK(code("-carol@example.org") == "ok");
    CHECK(code("anyone") == "ok");
    CHECK(code("-anyone") == "ok");
    CHECK(code("alice") == "owner");
    CHECK(code("a@other.example") == "owner");
    CHECK(code("eve") == "none");
    CHECK(code("eve@elsewhere.example") == "none");
    CHECK(code("nobody") == "none");
    CHECK(code("$team") == "none");
    auto acl = w.call(*w.alice, proto::GetAcl{"team"});
    REQUIRE(acl);
    std::vector<std::string> identifiers;
    for (auto& entry : acl->entries) identifiers.push_back(entry.identifier);
    CHECK(identifiers == std::vector<std::string>{"-anyone", "-carol", "anyone", "bob", "carol"});
}

TEST_CASE("rights are changed, inherited, and go with their mailbox and account") {
    Shared w;
    using proto::AclChange;
    auto change = [&](AclChange how, uint32_t rights) {
        REQUIRE(w.call(*w.alice, proto::SetAcl{"team", "bob", how, rights}));
        auto acl = w.call(*w.alice, proto::GetAcl{"team"});
        REQUIRE(acl);
        return acl->entries.empty() ? 0 : acl->entries[0].rights;
    };
    CHECK(change(AclChange::replace, 7) == 7);
    CHECK(change(AclChange::add, 8) == 15);
    CHECK(change(AclChange::remove, 6) == 9);
    CHECK(outcome(w.call(*w.alice, proto::SetAcl{"team", "bob", AclChange::add, 1u << 11})).starts_with("other"));
    REQUIRE(w.call(*w.alice, proto::CreateMailbox{"team/below", 0}));
    CHECK(w.call(*w.alice, proto::GetAcl{"team/below"})->entries.at(0).rights == 9);
    REQUIRE(w.call(*w.alice, proto::DeleteMailbox{"team/below"}));
    REQUIRE(w.call(*w.alice, proto::CreateMailbox{"below", 0}));
    CHECK(w.call(*w.alice, proto::GetAcl{"below"})->entries.empty());
    CHECK(change(AclChange::remove, 9) == 0);
    // Of an account that is removed nothing is left for the next of its name.
    REQUIRE(w.grant("bob", proto::kAllRights));
    REQUIRE(w.wait(w.server->remove_account({"bob"})));
    CHECK(w.call(*w.alice, proto::GetAcl{"team"})->entries.empty());
}

TEST_CASE("flags are kept to the rights of who sets them") {
    Shared w;
    using namespace proto;
    auto id = w.id_for_bob();
    auto flags = [&] { return rows_of(w.team())[0].flags; };
    REQUIRE(w.call(*w.alice, StoreFlags{w.team().mailbox.id, {{1, 1}}, StoreMode::replace, kFlagged, {"own"}, {}}));
    // RFC 4314 4: what may be changed is, the rest stays
    REQUIRE(w.grant("bob", kReadRight | kSeenRight));
    REQUIRE(w.call(*w.bob, StoreFlags{id, {{1, 1}}, StoreMode::replace, kSeen | kDeleted | kAnswered, {"theirs"}, {}}));
    CHECK(flags() == (kSeen | kFlagged));
    CHECK(w.team().keywords == std::vector<std::string>{"own"});
    CHECK(rows_of(w.team())[0].keywords == 1);
    REQUIRE(w.call(*w.bob, StoreFlags{id, {{1, 1}}, StoreMode::replace, 0, {}, {}}));
    CHECK(flags() == kFlagged);
    // The same for a message that comes in (RFC 4314 4, COPY and APPEND).
    REQUIRE(w.grant("bob", kReadRight | kInsertRight | kDeleteMessageRight));
    AppendItem item{.spool = 0, .size = 1, .flags = kSeen | kDeleted | kDraft, .keywords = {"theirs"}, .info = "i"};
    item.content = "x";
    REQUIRE(w.call(*w.bob, AppendMessages{"#users/alice/team", {item}, {}}));
    CHECK(rows_of(w.team())[2].flags == kDeleted);
    REQUIRE(w.call(*w.bob, CopyMessages{id, {{1, 1}}, "#users/alice/team"}));
    CHECK((rows_of(w.team())[3].flags == 0 && rows_of(w.team())[3].keywords == 0));
    CHECK(w.team().keywords == std::vector<std::string>{"own"});
}

TEST_CASE("a guest hears of what it may read, and of no more") {
    Shared w;
    auto id = w.id_for_bob();
    auto carol = w.open("carol");
    w.settle();
    w.bob->events.changed.clear();
    carol->events.changed.clear();
    REQUIRE_FALSE(w.deliver("alice", "team", "third"));
    REQUIRE_FALSE(w.deliver("alice", "INBOX", "private"));
    w.settle();
    CHECK(w.bob->events.changed.size() == 1);
    CHECK(w.bob->events.changed.contains(id.value));
    CHECK(carol->events.changed.empty());
    CHECK(carol->events.list_changed == 0);
    // Rights that go: it is told once more, and finds that it may not read any more.
    w.bob->events.changed.clear();
    int lists = w.bob->events.list_changed;
    REQUIRE(w.grant("bob", 0));
    w.settle();
    CHECK(w.bob->events.changed.contains(id.value));
    CHECK(w.bob->events.list_changed > lists);
    CHECK(outcome(w.call(*w.bob, proto::GetChanges{id, 0})) == "hidden");
    w.bob->events.changed.clear();
    REQUIRE_FALSE(w.deliver("alice", "team", "fourth"));
    w.settle();
    CHECK(w.bob->events.changed.empty());
}

TEST_CASE("what a guest makes leaves the owner's uses and subscriptions alone") {
    Shared w;
    REQUIRE(w.grant("bob", proto::kLookupRight | proto::kCreateRight));
    auto before = w.call(*w.alice, proto::ListMailboxes{})->subscribed;
    CHECK(outcome(w.call(*w.bob, proto::CreateMailbox{"#users/alice/team/x", proto::kSentUse})) == "denied");
    REQUIRE(w.call(*w.bob, proto::CreateMailbox{"#users/alice/team/y", 0}));
    auto list = w.call(*w.alice, proto::ListMailboxes{});
    REQUIRE(list);
    CHECK(list->subscribed == before);
    for (const auto& mailbox : list->mailboxes)
        CHECK((mailbox.special_use == proto::kSentUse) == (mailbox.name == "Sent"));
}

TEST_CASE("rights can be taken from who has left the domain") {
    Shared w;
    REQUIRE(w.grant("bob", proto::kReadRight));
    w.accounts[1].addresses = {"bob@elsewhere.example"};
    w.configure();
    CHECK_FALSE(w.grant("bob", proto::kReadRight));
    CHECK(w.grant("bob", 0));
    w.accounts[1].addresses = {"bob@example.org"};
    w.configure();
    CHECK(outcome(w.call(*w.bob, proto::OpenMailbox{"#users/alice/team"})) == "hidden");
}

TEST_CASE("a guest gets the bytes of one message, and no index") {
    Shared w;
    auto id = w.id_for_bob();
    auto files = w.call(*w.bob, proto::OpenMessages{id, {{1}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 1);
    CHECK(text_of(files->messages[0]) == "first");
    CHECK_FALSE(files->messages[0].file);  // it shares one with others
    // Searches go to its own index, whatever it has open.
    REQUIRE_FALSE(w.deliver("bob", "INBOX", "mine"));
    auto found = w.call(*w.bob, proto::FindText{{{1, "first"}}});
    REQUIRE(found);
    CHECK(found->count == 2);  // numbers given out in it: a pack and a message
    // What is private of annotations stays so (RFC 5464).
    REQUIRE(w.grant("bob", proto::kAllRights));
    REQUIRE(w.call(*w.alice, proto::SetMetadata{"team", {{"/private/comment", "p"}, {"/shared/comment", "s"}}}));
    auto metadata = w.call(*w.bob, proto::GetMetadata{"#users/alice/team"});
    REQUIRE(metadata);
    REQUIRE(metadata->entries.size() == 1);
    CHECK(metadata->entries[0].name == "/shared/comment");
    CHECK(outcome(w.call(*w.bob, proto::SetMetadata{"#users/alice/team", {{"/private/x", "y"}}})) == "denied");
}

TEST_CASE("what is shared is known after a restart, and domains part accounts") {
    Shared w;
    REQUIRE(w.grant("anyone", proto::kLookupRight | proto::kReadRight));
    REQUIRE(w.call(*w.bob, proto::Subscribe{"#users/alice/team", proto::Subscription::subscribe}));
    w.alice.reset();
    w.bob.reset();
    w.restart();
    w.bob = w.open("bob");
    auto eve = w.open("eve");
    CHECK(w.names(*w.bob) == std::vector<std::string>{"#users/alice/team"});
    CHECK(w.call(*w.bob, proto::ListMailboxes{})->subscribed.front() == "#users/alice/team");
    CHECK(w.names(*eve).empty());
    CHECK(outcome(w.call(*eve, proto::OpenMailbox{"#users/alice/team"})) == "hidden");
    w.accounts[0].addresses = {"a@other.example"};  // alice leaves the domain
    w.configure();
    CHECK(w.names(*w.bob).empty());
    CHECK(outcome(w.call(*w.bob, proto::OpenMailbox{"#users/alice/team"})) == "hidden");
}
