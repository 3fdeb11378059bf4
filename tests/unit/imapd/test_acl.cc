// ACL (RFC 4314) and LIST-MYRIGHTS (RFC 8440): grammar, answers, and what a session makes of its rights.
#include "common/mail/rights.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

TEST_CASE("rights as letters, with the old ones") {
    CHECK(mail::parse_rights("lrs") == 7u);
    CHECK(mail::parse_rights("") == 0u);
    CHECK(mail::parse_rights("lrswipkxtea") == uint32_t{proto::kAllRights});
    CHECK(mail::parse_rights("d") == uint32_t{proto::kDeleteMessageRight | proto::kExpungeRight});
    CHECK(mail::parse_rights("c") == uint32_t{proto::kCreateRight | proto::kDeleteMailboxRight});
    CHECK_FALSE(mail::parse_rights("lrQswicda"));  // RFC 4314 3.1, its examples
    CHECK_FALSE(mail::parse_rights("lrqswicda"));
    CHECK_FALSE(mail::parse_rights("l5"));
    // RFC 4314 2.1.1: "the server MUST also include"
    CHECK(mail::rights_letters(proto::kAllRights) == "lrswipkxtecda");
    CHECK(mail::rights_letters(proto::kDeleteMessageRight) == "td");
    CHECK(mail::rights_letters(proto::kCreateRight) == "kc");
    CHECK(mail::rights_letters(0).empty());
}

TEST_CASE("SETACL, GETACL, DELETEACL") {
    World world;
    world.store.make("INBOX/Drafts");
    auto client = world.login();
    client.ok("SETACL INBOX/Drafts David lrswida");
    CHECK(client.ok("GETACL INBOX/Drafts") == Lines{"* ACL INBOX/Drafts test lrswipkxtecda David lrswiteda"});
    client.ok("SETACL INBOX/Drafts David -a");
    client.ok("SETACL INBOX/Drafts David +k");
    client.ok("SETACL INBOX/Drafts -Fred wetd");
    client.ok("SETACL INBOX/Drafts {5}\r\nCh ri lr");
    CHECK(client.ok("GETACL INBOX/Drafts") ==
          Lines{"* ACL INBOX/Drafts test lrswipkxtecda -Fred wted \"Ch ri\" lr David lrswiktecd"});
    client.ok("DELETEACL INBOX/Drafts David");
    client.ok("SETACL INBOX/Drafts -Fred \"\"");
    CHECK(client.ok("GETACL INBOX/Drafts") == Lines{"* ACL INBOX/Drafts test lrswipkxtecda \"Ch ri\" lr"});
    CHECK(client.answer("SETACL INBOX/Drafts John lrQswicda").starts_with("BAD"));
    CHECK(client.answer("SETACL INBOX/Drafts John lrqswicda").starts_with("BAD"));
    CHECK(client.answer("SETACL INBOX/Drafts \"\" lr").starts_with("BAD"));
    CHECK(client.answer("SETACL INBOX/Drafts John").starts_with("BAD"));
    CHECK(client.answer("SETACL INBOX test lr").starts_with("NO [CANNOT]"));
    CHECK(client.answer("SETACL INBOX nobody lr").starts_with("NO [CANNOT]"));
    CHECK(client.answer("SETACL none John lr").starts_with("NO [NONEXISTENT]"));
    CHECK(client.answer("GETACL none").starts_with("NO [NONEXISTENT]"));
}

TEST_CASE("LISTRIGHTS, MYRIGHTS and LIST RETURN (MYRIGHTS)") {
    World world;
    world.store.make("foo").mailbox.rights = proto::kLookupRight | proto::kReadRight | proto::kSeenRight;
    auto client = world.login();
    CHECK(client.ok("LISTRIGHTS INBOX smith") == Lines{"* LISTRIGHTS INBOX smith \"\" l r s w i p k x t e c d a"});
    CHECK(client.ok("LISTRIGHTS INBOX test") == Lines{"* LISTRIGHTS INBOX test lrswipkxtecda"});
    CHECK(client.ok("MYRIGHTS INBOX") == Lines{"* MYRIGHTS INBOX lrswipkxtecda"});
    CHECK(client.ok("MYRIGHTS foo") == Lines{"* MYRIGHTS foo lrs"});
    CHECK(client.answer("MYRIGHTS none").starts_with("NO [NONEXISTENT]"));
    // RFC 8440 4, its examples
    client.ok("SUBSCRIBE bar");
    CHECK(client.ok("LIST \"\" % RETURN (MYRIGHTS)") ==
          Lines{"* LIST (\\HasNoChildren) \"/\" INBOX", "* MYRIGHTS INBOX lrswipkxtecda",
                "* LIST (\\HasNoChildren) \"/\" foo", "* MYRIGHTS foo lrs"});
    world.store.make("foo/below");
    client.ok("UNSUBSCRIBE bar");
    client.ok("SUBSCRIBE foo/below");
    CHECK(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (MYRIGHTS)") ==
          Lines{"* LIST (\\HasChildren) \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\"))"});
}

TEST_CASE("names of others: namespace, and levels above them that are no mailboxes") {
    World world;
    world.store.make("#users/bob/team/sub");
    auto client = world.login();
    CHECK(client.ok("NAMESPACE") == Lines{"* NAMESPACE ((\"\" \"/\")) ((\"#users/\" \"/\")) NIL"});
    CHECK(client.ok("LIST \"\" *") ==
          Lines{"* LIST (\\HasNoChildren) \"/\" #users/bob/team/sub", "* LIST (\\HasNoChildren) \"/\" INBOX"});
    CHECK(client.ok("LIST \"\" %") ==
          Lines{"* LIST (\\Noselect \\HasChildren) \"/\" #users", "* LIST (\\HasNoChildren) \"/\" INBOX"});
    CHECK(client.ok("LIST \"#users/\" %") == Lines{"* LIST (\\Noselect \\HasChildren) \"/\" #users/bob"});
}

TEST_CASE("what a session makes of its rights") {
    World world;
    auto& box = world.store.make("#users/bob/team");
    box.mailbox.id.value |= uint64_t{5} << proto::kOwnerShift;
    box.mailbox.rights = proto::kLookupRight | proto::kReadRight;
    world.store.add(box, "a: b\r\n\r\nbody");
    auto client = world.login();
    auto has = [](const Lines& lines, std::string_view line) { return std::ranges::find(lines, line) != lines.end(); };
    // RFC 4314 5.2
    CHECK(client.answer("SELECT #users/bob/team").starts_with("OK [READ-ONLY]"));
    CHECK(has(client.ok("SELECT #users/bob/team"), "* OK [PERMANENTFLAGS ()] flags can be changed"));
    client.ok("FETCH 1 BODY[]");
    CHECK(world.store.stores == 0);  // RFC 4314 4: \Seen is not even tried
    box.mailbox.rights |= proto::kSeenRight;
    CHECK(client.answer("SELECT #users/bob/team").starts_with("OK [READ-WRITE]"));
    CHECK(has(client.ok("SELECT #users/bob/team"), "* OK [PERMANENTFLAGS (\\Seen)] flags can be changed"));
    client.ok("FETCH 1 BODY[]");
    CHECK(world.store.stores == 1);
    // RFC 4314 5.1.1: rights that change are told
    box.mailbox.rights |= proto::kDeleteMessageRight;
    world.store.add(box, "a: c\r\n\r\nbody");
    CHECK(has(client.ok("NOOP"), "* OK [PERMANENTFLAGS (\\Deleted \\Seen)] flags can be changed"));
    // The index of words is that of the account: what others share is read.
    for (int i = 0; i < 40; i++) world.store.add(box, "a: b\r\n\r\nneedle");
    client.ok("NOOP");
    world.store.find_texts = 0;
    CHECK(client.ok("UID SEARCH RETURN (COUNT) BODY needle").front().ends_with("COUNT 40"));
    CHECK(world.store.find_texts == 0);
}

TEST_CASE("copies between accounts are read and appended") {
    World world;
    auto& inbox = *world.store.find("INBOX");
    auto& box = world.store.make("#users/bob/team");
    box.mailbox.id.value |= uint64_t{5} << proto::kOwnerShift;
    world.store.add(inbox, "Subject: one\r\n\r\n1", proto::kFlagged, "Received: x\r\n", {1700000000, 60});
    world.store.add(inbox, "Subject: two\r\n\r\n" + std::string(100000, 'x') + "\r\n");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.answer("COPY 1:2 #users/bob/team").starts_with("OK [COPYUID "));
    REQUIRE(box.messages.size() == 2);
    CHECK(*box.messages[0].content == "Received: x\r\nSubject: one\r\n\r\n1");
    CHECK((box.messages[0].row.flags == proto::kFlagged && box.messages[0].row.received == 1700000000));
    CHECK(box.messages[1].content->size() > 100000);
    auto lines = client.ok("MOVE 1 #users/bob/team");
    CHECK(lines.back() == "* 1 EXPUNGE");
    CHECK(inbox.messages.size() == 1);
    CHECK(box.messages.size() == 3);
    CHECK(client.answer("COPY 1 #users/bob/none").starts_with("NO [TRYCREATE]"));
}
