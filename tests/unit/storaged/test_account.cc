#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
using proto::MailboxId;
using proto::StoreMode;

namespace {

std::vector<std::string> names_of(const proto::MailboxList& list) {
    std::vector<std::string> names;
    for (const auto& mailbox : list.mailboxes) names.push_back(mailbox.name);
    return names;
}

const proto::Mailbox& named(const proto::MailboxList& list, std::string_view name) {
    for (const auto& mailbox : list.mailboxes)
        if (mailbox.name == name) return mailbox;
    FAIL("no mailbox " << name);
    return list.mailboxes[0];
}

struct Fixture {
    TemporaryDirectory directory;
    World w;
    std::unique_ptr<Client> alice = w.open("alice");

    proto::MailboxList list() {
        auto list = w.call(*alice, proto::ListMailboxes{});
        REQUIRE(list);
        return std::move(*list);
    }
    MailboxId id(std::string_view name) { return named(list(), name).id; }
    proto::MailboxColumns open(const std::string& name) {
        auto opened = w.call(*alice, proto::OpenMailbox{name});
        REQUIRE(opened);
        return std::move(*opened);
    }
    Result<proto::MessagesAppended> append(const std::string& mailbox, std::vector<std::string> texts,
                                           uint32_t flags = 0, std::vector<std::string> keywords = {}) {
        proto::AppendMessages request{mailbox, {}};
        for (const std::string& text : texts)
            request.items.push_back(
                {w.spool(alice->channel, text), text.size(), flags, keywords, {1600000000, -120}, "i" + text});
        return w.call(*alice, std::move(request));
    }
    Result<proto::FlagsStored> store(MailboxId mailbox, proto::UidRange uids, StoreMode mode, uint32_t flags,
                                     std::vector<std::string> keywords = {},
                                     std::optional<uint64_t> unchanged_since = {}) {
        return w.call(*alice, proto::StoreFlags{mailbox, {uids}, mode, flags, std::move(keywords), unchanged_since});
    }
};

}  // namespace

TEST_CASE("a new account has its mailboxes, subscribed, with their uses") {
    Fixture f;
    auto list = f.list();
    CHECK(names_of(list) == std::vector<std::string>{"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"});
    CHECK(list.subscribed.size() == 6);
    CHECK(named(list, "Junk").special_use == proto::kJunkUse);
    CHECK(named(list, "Sent").special_use == proto::kSentUse);
    CHECK(named(list, "INBOX").uidvalidity > 800000000);
    f.w.settle();
    CHECK(f.alice->events.account == "alice");
}

TEST_CASE("an account that is not configured is not there") {
    Fixture f;
    CHECK(error_of(f.w.call(f.w.authd, proto::OpenAccount{"mallory"})).code == ErrorCode::not_found);
    CHECK(error_of(f.w.call(f.w.authd, proto::GetCredentials{"../alice"})).code == ErrorCode::not_found);
    f.w.accounts.erase(f.w.accounts.begin());
    f.w.configure();
    f.w.settle();
    CHECK(f.alice->channel.lost());
    CHECK(error_of(f.w.call(f.w.authd, proto::OpenAccount{"alice"})).code == ErrorCode::not_found);
    f.w.accounts.push_back({"alice", 0});
    f.w.configure();
    CHECK(f.w.call(f.w.authd, proto::OpenAccount{"alice"}));
}

TEST_CASE("an account on another file system is refused: it would not be synced with the rest") {
    TemporaryDirectory elsewhere("/dev/shm");
    TemporaryDirectory directory;
    std::filesystem::create_directory("accounts");
    std::filesystem::create_directory_symlink(elsewhere.path(), "accounts/alice");
    World w;
    auto opened = w.call(w.authd, proto::OpenAccount{"alice"});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().text == "the store is on another file system");
    CHECK(w.call(w.authd, proto::OpenAccount{"bob"}));
}

TEST_CASE("mailboxes are created with those above, told to all, and deleted") {
    Fixture f;
    auto other = f.w.open("alice");
    auto created = f.w.call(*f.alice, proto::CreateMailbox{"a/b/c", 0});
    REQUIRE(created);
    REQUIRE(created->created.size() == 3);
    CHECK(created->created[0].name == "a");
    CHECK(created->created[2].name == "a/b/c");
    CHECK(created->created[2].uidvalidity > created->created[0].uidvalidity);
    f.w.settle();
    CHECK(other->events.list_changed > 0);
    CHECK(f.alice->events.list_changed > 0);
    CHECK(error_of(f.w.call(*f.alice, proto::CreateMailbox{"a/b", 0})).code == ErrorCode::exists);
    CHECK(error_of(f.w.call(*f.alice, proto::CreateMailbox{"x//y", 0})).code == ErrorCode::bad_request);
    CHECK(error_of(f.w.call(*f.alice, proto::DeleteMailbox{"a/b"})).code == ErrorCode::bad_request);
    CHECK(error_of(f.w.call(*f.alice, proto::DeleteMailbox{"inbox"})).code == ErrorCode::bad_request);
    CHECK(error_of(f.w.call(*f.alice, proto::DeleteMailbox{"zz"})).code == ErrorCode::not_found);
    REQUIRE(f.append("a/b/c", {"text"}));
    f.w.settle();
    CHECK(f.w.stored("alice") == 1);
    auto gone = created->created[2];
    CHECK(f.w.call(*f.alice, proto::DeleteMailbox{"a/b/c"}));
    f.w.settle();
    CHECK(f.w.stored("alice") == 0);
    CHECK(error_of(f.w.call(*f.alice, proto::GetChanges{gone.id, 0})).code == ErrorCode::not_found);
    auto again = f.w.call(*f.alice, proto::CreateMailbox{"a/b/c", 0});
    REQUIRE(again);
    CHECK(again->created[0].uidvalidity > gone.uidvalidity);
    CHECK(again->created[0].id != gone.id);
}

TEST_CASE("a special use moves to the mailbox created with it") {
    Fixture f;
    REQUIRE(f.w.call(*f.alice, proto::CreateMailbox{"Outgoing", proto::kSentUse}));
    auto list = f.list();
    CHECK(named(list, "Outgoing").special_use == proto::kSentUse);
    CHECK(named(list, "Sent").special_use == 0);
    CHECK(error_of(f.w.call(*f.alice, proto::CreateMailbox{"Odd", 1u << 20})).code == ErrorCode::bad_request);
}

TEST_CASE("renaming takes the children along; INBOX is emptied") {
    Fixture f;
    REQUIRE(f.w.call(*f.alice, proto::CreateMailbox{"ä/x", 0}));
    REQUIRE(f.append("ä/x", {"one"}));
    auto before = named(f.list(), "ä/x");
    CHECK(f.w.call(*f.alice, proto::RenameMailbox{"ä", "new/place"}));
    auto list = f.list();
    auto after = named(list, "new/place/x");
    CHECK(after.id == before.id);
    CHECK(after.uidvalidity == before.uidvalidity);
    CHECK(after.messages == 1);
    CHECK(named(list, "new").messages == 0);
    CHECK(error_of(f.w.call(*f.alice, proto::RenameMailbox{"ä", "b"})).code == ErrorCode::not_found);
    CHECK(error_of(f.w.call(*f.alice, proto::RenameMailbox{"new", "Sent"})).code == ErrorCode::exists);
    CHECK(error_of(f.w.call(*f.alice, proto::RenameMailbox{"new", "Inbox"})).code == ErrorCode::exists);
    CHECK(f.w.call(*f.alice, proto::RenameMailbox{"new", "new/below"}));
    list = f.list();
    CHECK(named(list, "new/below/place/x").id == before.id);
    CHECK(named(list, "new").id != before.id);
    REQUIRE(f.append("INBOX", {"one", "two"}, proto::kFlagged, {"$Label"}));
    CHECK(f.w.call(*f.alice, proto::RenameMailbox{"inbox", "Old mail"}));
    CHECK(f.open("INBOX").count == 0);
    auto moved = f.open("Old mail");
    CHECK(moved.count == 2);
    CHECK(moved.keywords == std::vector<std::string>{"$Label"});
    CHECK(rows_of(moved)[1].flags == proto::kFlagged);
}

TEST_CASE("a name that would grow too long is not renamed, and nothing is half done") {
    Fixture f;
    REQUIRE(f.w.call(*f.alice, proto::CreateMailbox{"a/" + std::string(200, 'b'), 0}));
    auto error = error_of(f.w.call(*f.alice, proto::RenameMailbox{"a", std::string(100, 'c')}));
    CHECK(error.code == ErrorCode::bad_request);
    CHECK(named(f.list(), "a/" + std::string(200, 'b')).messages == 0);
}

TEST_CASE("subscriptions are names of their own") {
    Fixture f;
    REQUIRE(f.w.call(*f.alice, proto::Subscribe{"not/there", proto::Subscription::subscribe}));
    REQUIRE(f.w.call(*f.alice, proto::Subscribe{"Trash", proto::Subscription::unsubscribe}));
    auto list = f.list();
    CHECK(list.subscribed == std::vector<std::string>{"Archive", "Drafts", "INBOX", "Junk", "Sent", "not/there"});
    CHECK(f.w.call(*f.alice, proto::DeleteMailbox{"Archive"}));
    CHECK(f.list().subscribed.size() == 6);
}

TEST_CASE("append: all or none, flags and keywords, ascending uids") {
    Fixture f;
    auto appended = f.append("Drafts", {"one", "two", "three"}, proto::kDraft | proto::kSeen, {"$Label1", "other"});
    REQUIRE(appended);
    CHECK(appended->uids == std::vector<proto::Uid>{{1}, {2}, {3}});
    auto drafts = f.open("Drafts");
    CHECK(appended->uidvalidity == drafts.mailbox.uidvalidity);
    CHECK(drafts.mailbox.unseen == 0);
    CHECK(drafts.mailbox.size == 11);
    CHECK(drafts.keywords == std::vector<std::string>{"$Label1", "other"});
    auto rows = rows_of(drafts);
    CHECK(rows[2].flags == (proto::kDraft | proto::kSeen));
    CHECK(rows[2].keywords == 3);
    CHECK(rows[2].received_zone == -120);
    CHECK(error_of(f.append("No such", {"x"})).code == ErrorCode::not_found);
    CHECK(error_of(f.append("Drafts", {"x", "y"}, 0, {"not a keyword"})).code == ErrorCode::bad_request);
    CHECK(f.open("Drafts").count == 3);
    // The second spool file is another channel's: nothing is appended.
    uint64_t own = f.w.spool(f.alice->channel, "x");
    uint64_t foreign = f.w.spool(*f.w.smtpd, "x");
    proto::AppendMessages request{"Drafts", {{own, 1, 0, {}, {}, ""}, {foreign, 1, 0, {}, {}, ""}}};
    CHECK(error_of(f.w.call(*f.alice, request)).code == ErrorCode::not_found);
    CHECK(f.open("Drafts").count == 3);
    f.w.settle();
    CHECK(f.w.stored("alice") == 3);
    CHECK(count_files("accounts/alice/stray") == 0);
}

TEST_CASE("flags: replace, add, remove, unchanged since") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one", "two", "three"}));
    auto id = f.id("INBOX");
    auto stored = f.store(id, {1, 2}, StoreMode::add, proto::kSeen | proto::kFlagged, {"Work"});
    REQUIRE(stored);
    REQUIRE(stored->rows.size() == 2);
    CHECK(stored->rows[0].flags == (proto::kSeen | proto::kFlagged));
    CHECK(stored->keywords == std::vector<std::string>{"Work"});
    uint64_t modseq = stored->rows[0].modseq;
    CHECK(f.open("INBOX").mailbox.highest_modseq == modseq);
    CHECK(f.open("INBOX").mailbox.unseen == 1);

    // The same again changes nothing, the modseq included; keywords know no case.
    stored = f.store(id, {1, 9}, StoreMode::add, proto::kSeen, {"wORK"});
    REQUIRE(stored);
    CHECK(stored->rows[0].modseq == modseq);
    CHECK(stored->rows[2].modseq > modseq);
    CHECK(stored->keywords == std::vector<std::string>{"Work"});

    stored = f.store(id, {1, 9}, StoreMode::remove, proto::kFlagged, {"unknown"}, modseq);
    REQUIRE(stored);
    CHECK(stored->unchanged_since_failed == std::vector<proto::Uid>{{3}});
    CHECK(stored->rows[0].flags == proto::kSeen);
    CHECK(stored->keywords.size() == 1);

    stored = f.store(id, {2, 2}, StoreMode::replace, proto::kDeleted);
    REQUIRE(stored);
    CHECK(stored->rows[0].flags == proto::kDeleted);
    CHECK(stored->rows[0].keywords == 0);
    auto inbox = f.open("INBOX");
    CHECK(inbox.mailbox.deleted == 1);
    CHECK(inbox.mailbox.unseen == 1);
    CHECK(error_of(f.store(id, {1, 1}, StoreMode::add, 1u << 30)).code == ErrorCode::bad_request);
    CHECK(error_of(f.store({9999}, {1, 1}, StoreMode::add, 1)).code == ErrorCode::not_found);
    f.w.settle();
    CHECK(f.alice->events.changed[id.value] == inbox.mailbox.highest_modseq);
}

TEST_CASE("a mailbox has room for 64 keywords") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one"}));
    auto id = f.id("INBOX");
    std::vector<std::string> keywords;
    for (int i = 0; i < 64; i++) keywords.push_back("k" + std::to_string(i));
    auto stored = f.store(id, {1, 1}, StoreMode::add, 0, keywords);
    REQUIRE(stored);
    CHECK(stored->rows[0].keywords == UINT64_MAX);
    CHECK(error_of(f.store(id, {1, 1}, StoreMode::add, 0, {"one-more"})).code == ErrorCode::bad_request);
    CHECK(rows_of(f.open("INBOX"))[0].keywords == UINT64_MAX);
}

TEST_CASE("copies share the file until the last is gone") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one", "two"}, proto::kSeen, {"k1"}));
    auto inbox = f.id("INBOX");
    auto copied = f.w.call(*f.alice, proto::CopyMessages{inbox, {{1, 1}, {2, 2}, {1, 2}, {7, 9}}, "Archive"});
    REQUIRE(copied);
    REQUIRE(copied->uids.size() == 2);
    CHECK(copied->uids[1].source == 2);
    CHECK(copied->uids[1].destination == 2);
    auto archive = f.open("Archive");
    CHECK(archive.mailbox.uidvalidity == copied->uidvalidity);
    CHECK(archive.keywords == std::vector<std::string>{"k1"});
    CHECK(rows_of(archive)[0].flags == proto::kSeen);
    CHECK(rows_of(archive)[0].received == 1600000000);
    CHECK(f.w.stored("alice") == 2);
    REQUIRE(f.store(inbox, {1, 2}, StoreMode::add, proto::kDeleted));
    auto expunged = f.w.call(*f.alice, proto::Expunge{inbox, {{1, 2}}});
    REQUIRE(expunged);
    REQUIRE(expunged->uids.size() == 1);
    CHECK(expunged->uids[0].last == 2);
    f.w.settle();
    CHECK(f.w.stored("alice") == 2);
    auto files = f.w.call(*f.alice, proto::OpenMessages{archive.mailbox.id, {{1}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 1);
    REQUIRE(f.store(archive.mailbox.id, {1, 2}, StoreMode::add, proto::kDeleted));
    REQUIRE(f.w.call(*f.alice, proto::Expunge{archive.mailbox.id, {{1, 1}}}));
    f.w.settle();
    CHECK(f.w.stored("alice") == 1);
    // Who has it open reads on.
    CHECK(text_of(files->messages[0]) == "one");
    CHECK(error_of(f.w.call(*f.alice, proto::CopyMessages{inbox, {{1, 1}}, "Nowhere"})).code == ErrorCode::not_found);
}

TEST_CASE("moving touches no file and leaves tombstones") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one", "two", "three"}));
    auto inbox = f.open("INBOX");
    auto moved = f.w.call(*f.alice, proto::MoveMessages{inbox.mailbox.id, {{2, 3}}, "Trash"});
    REQUIRE(moved);
    CHECK(moved->uids.size() == 2);
    auto changes = f.w.call(*f.alice, proto::GetChanges{inbox.mailbox.id, inbox.mailbox.highest_modseq});
    REQUIRE(changes);
    CHECK(changes->changed.empty());
    REQUIRE(changes->expunged.size() == 1);
    CHECK(changes->expunged[0].first == 2);
    CHECK(changes->expunged[0].last == 3);
    CHECK(changes->mailbox.messages == 1);
    CHECK(f.open("Trash").count == 2);
    CHECK(f.w.stored("alice") == 3);
    f.w.settle();
    CHECK(f.alice->events.changed.contains(f.id("Trash").value));
    // The uids of what went are never used again.
    auto appended = f.append("INBOX", {"four"});
    REQUIRE(appended);
    CHECK(appended->uids[0].value == 4);
}

TEST_CASE("a message is replaced in one commit") {
    Fixture f;
    REQUIRE(f.append("Drafts", {"one", "two"}));
    auto drafts = f.open("Drafts");
    auto replace = [&](std::string mailbox, uint32_t uid, std::string content) {
        uint64_t spool = f.w.spool(f.alice->channel, content);
        proto::AppendMessages request{std::move(mailbox), {{spool, content.size(), 0, {}, {}, ""}}, {}};
        request.replaced = proto::ReplacedMessage{drafts.mailbox.id, {uid}};
        return f.w.call(*f.alice, std::move(request));
    };
    auto replaced = replace("Drafts", 1, "three");
    REQUIRE(replaced);
    CHECK(replaced->uids == std::vector<proto::Uid>{{3}});
    auto changes = f.w.call(*f.alice, proto::GetChanges{drafts.mailbox.id, drafts.mailbox.highest_modseq});
    REQUIRE(changes);
    REQUIRE(changes->expunged.size() == 1);
    CHECK(changes->expunged[0].first == 1);
    REQUIRE(changes->changed.size() == 1);
    CHECK(changes->changed[0].uid == 3);
    CHECK(changes->mailbox.messages == 2);
    CHECK(changes->mailbox.size == 8);
    // What cannot be done leaves all as it was.
    CHECK(error_of(replace("Drafts", 1, "four")).code == ErrorCode::bad_request);
    CHECK(error_of(replace("No such", 2, "four")).code == ErrorCode::not_found);
    CHECK(f.open("Drafts").count == 2);
    CHECK(replace("Sent", 2, "sent"));
    CHECK(f.open("Drafts").count == 1);
    CHECK(f.open("Sent").count == 1);
    f.w.settle();
    CHECK(f.w.stored("alice") == 2);
}

TEST_CASE("annotations go with their mailbox, and are bounded") {
    Fixture f;
    using Entry = proto::MetadataEntry;
    CHECK(f.w.call(*f.alice, proto::SetMetadata{"Sent", {Entry{"/private/comment", "mine"}}}));
    CHECK(f.w.call(*f.alice, proto::SetMetadata{"", {Entry{"/shared/comment", std::string("a\0b", 3)}}}));
    CHECK(f.w.call(*f.alice, proto::RenameMailbox{"Sent", "Gone"}));
    auto entries = f.w.call(*f.alice, proto::GetMetadata{"Gone"});
    REQUIRE(entries);
    REQUIRE(entries->entries.size() == 1);
    CHECK(entries->entries[0].value == "mine");
    CHECK(f.w.call(*f.alice, proto::GetMetadata{""})->entries[0].value == std::string("a\0b", 3));
    CHECK(error_of(f.w.call(*f.alice, proto::GetMetadata{"Sent"})).code == ErrorCode::not_found);
    CHECK(f.w.call(*f.alice, proto::DeleteMailbox{"Gone"}));
    CHECK(f.w.call(*f.alice, proto::CreateMailbox{"Gone", 0}));
    CHECK(f.w.call(*f.alice, proto::GetMetadata{"Gone"})->entries.empty());
    CHECK(f.w.call(*f.alice, proto::SetMetadata{"", {Entry{"/shared/comment", {}}}}));
    CHECK(f.w.call(*f.alice, proto::GetMetadata{""})->entries.empty());
    std::vector<Entry> many;
    for (int i = 0; i < 1001; i++) many.push_back({"/shared/" + std::to_string(i), "x"});
    CHECK(error_of(f.w.call(*f.alice, proto::SetMetadata{"", many})).code == ErrorCode::over_quota);
    CHECK(error_of(f.w.call(*f.alice, proto::SetMetadata{"", {Entry{"/X", "x"}}})).code == ErrorCode::bad_request);
    CHECK(f.w.call(*f.alice, proto::GetMetadata{""})->entries.empty());
    // RFC 7162 3.2: a change of an annotation counts as one of the mailbox
    auto before = f.open("Trash").mailbox.highest_modseq;
    CHECK(f.w.call(*f.alice, proto::SetMetadata{"Trash", {Entry{"/private/comment", "x"}}}));
    CHECK(f.open("Trash").mailbox.highest_modseq > before);
}

TEST_CASE("how some mailboxes are now") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one", "two"}));
    auto list = f.w.call(*f.alice, proto::ListMailboxes{});
    REQUIRE(list);
    auto inbox = std::ranges::find(list->mailboxes, "INBOX", &proto::Mailbox::name)->id;
    auto sent = std::ranges::find(list->mailboxes, "Sent", &proto::Mailbox::name)->id;
    auto found = f.w.call(*f.alice, proto::GetMailboxes{{sent, {999999}, inbox}});
    REQUIRE(found);
    REQUIRE(found->mailboxes.size() == 2);
    CHECK(found->mailboxes[0].name == "Sent");
    CHECK(found->mailboxes[1].messages == 2);
    CHECK(found->mailboxes[1].uidnext == 3);
    CHECK(found->mailboxes[1].highest_modseq > found->mailboxes[0].highest_modseq);
    proto::GetMailboxes many{std::vector<proto::MailboxId>(proto::kMaxMailboxesPerGet + 1)};
    CHECK(error_of(f.w.call(*f.alice, many)).code == ErrorCode::bad_request);
    CHECK(f.w.call(*f.alice, proto::GetMailboxes{{}})->mailboxes.empty());
}

TEST_CASE("what the account holds") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one", "three"}));
    REQUIRE(f.append("Sent", {"four"}));
    auto use = f.w.call(*f.alice, proto::GetQuota{});
    REQUIRE(use);
    CHECK(use->bytes == 12);
    CHECK(use->messages == 3);
}

TEST_CASE("credentials are kept") {
    Fixture f;
    auto none = f.w.call(f.w.authd, proto::GetCredentials{"alice"});
    REQUIRE(none);
    CHECK_FALSE(none->credentials);
    proto::Credentials c{"$argon2id$x",
                         {std::string("salt\0\xff", 6), 4096, {"stored"}, {std::string("server\0", 7)}},
                         {"other salt", 8192, {std::string("\0stored", 7)}, {"server"}}};
    CHECK(f.w.call(f.w.authd, proto::SetCredentials{"alice", c}));
    f.w.crash();
    f.w.start();
    auto kept = f.w.call(f.w.authd, proto::GetCredentials{"alice"});
    REQUIRE(kept);
    REQUIRE(kept->credentials);
    CHECK(kept->credentials->argon2 == c.argon2);
    CHECK(kept->credentials->scram_sha256.salt == c.scram_sha256.salt);
    CHECK(kept->credentials->scram_sha1.salt == "other salt");
    CHECK(kept->credentials->scram_sha1.iterations == 8192);
    CHECK(kept->credentials->scram_sha1.stored_key.value == c.scram_sha1.stored_key.value);
    CHECK(kept->credentials->scram_sha256.iterations == 4096);
    CHECK(kept->credentials->scram_sha256.server_key.value == c.scram_sha256.server_key.value);
    CHECK(f.w.call(f.w.authd, proto::GetCredentials{"bob"}));
}

TEST_CASE("a removed account is moved aside and can be put back") {
    Fixture f;
    REQUIRE(f.append("INBOX", {"one"}));
    CHECK(f.w.wait(f.w.server->remove_account({"alice"})));
    f.w.settle();
    CHECK(f.alice->channel.lost());
    CHECK_FALSE(std::filesystem::exists("accounts/alice"));
    CHECK(error_of(f.w.wait(f.w.server->remove_account({"alice"}))).code == ErrorCode::not_found);
    CHECK(error_of(f.w.call(f.w.authd, proto::OpenAccount{"alice"})).code == ErrorCode::not_found);
    auto removed = std::filesystem::directory_iterator("removed")->path();
    f.w.configure();
    auto anew = f.w.open("alice");
    CHECK(f.w.call(*anew, proto::OpenMailbox{"INBOX"})->count == 0);
    CHECK_FALSE(f.w.deliver("alice", "", "after"));
    CHECK(f.w.wait(f.w.server->remove_account({"alice"})));
    std::filesystem::rename(removed, "accounts/alice");
    f.w.configure();
    auto back = f.w.open("alice");
    CHECK(f.w.call(*back, proto::OpenMailbox{"INBOX"})->count == 1);
}

TEST_CASE("the metrics have names, help and types") {
    Fixture f;
    CHECK_FALSE(f.w.deliver("alice", "", "x"));
    std::string text = f.w.server->metrics();
    CHECK(text.find("# TYPE mox_storage_deliveries_total counter\nmox_storage_deliveries_total 1\n") !=
          std::string::npos);
    CHECK(text.find("mox_storage_syncs_total") != std::string::npos);
    CHECK(text.find("# TYPE mox_storage_open_databases gauge") != std::string::npos);
}
