// MESSAGELIMIT, SAVELIMIT and their keys (RFC 9738), UIDBATCHES (RFC 10022).
#include "imapd/grammar/capabilities.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

TEST_CASE("as many messages as may be copied at once") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.make("to");
    for (int i = 0; i < 8; i++) world.store.add(box, "a: b\r\n\r\n");
    world.store.remove(box, 4);
    SessionLimits limits;
    limits.copied = 3;
    auto client = world.login(limits);
    CHECK(client.ok("CAPABILITY").front().find(" SAVELIMIT=1000") != std::string::npos);
    client.ok("SELECT INBOX");
    CHECK(client.answer("UID COPY 1:6 to") == "NO [MESSAGELIMIT 3 3] too many messages to copy");
    CHECK(client.ok("STATUS to (MESSAGES)") == Lines{"* STATUS to (MESSAGES 0)"});
    client.ok("UID COPY 1:3 to");
    CHECK(client.command("UID MOVE 1:6 to") == Lines{"* OK [COPYUID 1002 3,5:6 4:6] moved", "* 3 EXPUNGE",
                                                     "* 3 EXPUNGE", "* 3 EXPUNGE",
                                                     "OK [MESSAGELIMIT 3 3] moved, the last messages only"});
    CHECK(client.command("UID MOVE 1:6 to").back() == "OK moved");
}

TEST_CASE("as many messages as may be appended at once") {
    World world;
    auto client = world.login();
    std::string text = "APPEND INBOX";
    for (size_t i = 0; i < kSaveLimit; i++) text += " {4+}\r\na: b";
    CHECK(client.answer(text).starts_with("OK [APPENDUID "));
    CHECK(client.answer(text + " {4+}\r\na: b") == "NO [MESSAGELIMIT 1000] too many messages at once");
    CHECK(world.store.find("INBOX")->messages.size() == kSaveLimit);
}

TEST_CASE("searching above and below a UID") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 4; i++) world.store.add(box, "a: b\r\n\r\n");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("UID SEARCH UIDAFTER 2") == Lines{"* SEARCH 3 4"});
    CHECK(client.ok("UID SEARCH UIDBEFORE 3") == Lines{"* SEARCH 1 2"});
    CHECK(client.ok("UID SEARCH UIDAFTER 9") == Lines{"* SEARCH"});
    CHECK(client.ok("UID SEARCH UIDBEFORE 1") == Lines{"* SEARCH"});
    CHECK(client.ok("UID SEARCH UIDAFTER 4294967295") == Lines{"* SEARCH"});
    CHECK(client.ok("SEARCH NOT UIDBEFORE 4") == Lines{"* SEARCH 4"});
    for (std::string_view bad : {"SEARCH UIDAFTER", "SEARCH UIDAFTER 0", "SEARCH UIDBEFORE *", "SEARCH UIDAFTER 1:2"})
        CHECK(client.answer(bad).starts_with("BAD"));
}

TEST_CASE("batches of UIDs") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.quiet = true;
    for (int i = 0; i < 1301; i++) world.store.add(box, "a: b\r\n\r\n");
    for (uint32_t uid : {1, 2, 400, 801, 802, 1301}) world.store.remove(box, uid);
    auto client = world.login();
    CHECK(client.answer("UIDBATCHES 2000").starts_with("BAD"));
    client.ok("SELECT INBOX");
    client.ok("SEARCH RETURN (SAVE) UID 5");
    CHECK(client.ok("UIDBATCHES 2000") == Lines{"* UIDBATCHES (TAG \"t4\") 1300:1"});
    CHECK(client.ok("UIDBATCHES 500") == Lines{"* UIDBATCHES (TAG \"t5\") 1300:799,798:298,297:1"});
    CHECK(client.ok("UIDBATCHES 500 2:2") == Lines{"* UIDBATCHES (TAG \"t6\") 798:298"});
    CHECK(client.ok("UIDBATCHES 500 3:9") == Lines{"* UIDBATCHES (TAG \"t7\") 297:1"});
    CHECK(client.ok("UIDBATCHES 500 50:60") == Lines{"* UIDBATCHES (TAG \"t8\")"});
    CHECK(client.ok("UID SEARCH UID $") == Lines{"* SEARCH 5"});
    CHECK(client.answer("UIDBATCHES 499").starts_with("NO [TOOFEW]"));
    CHECK(client.answer("UIDBATCHES 500 20:10").starts_with("BAD [CLIENTBUG]"));
    CHECK(client.answer("UIDBATCHES 500 1:100000").starts_with("NO [TOOMANY]"));
    for (std::string_view bad :
         {"UIDBATCHES", "UIDBATCHES abc", "UIDBATCHES 500 10", "UIDBATCHES 0", "UIDBATCHES 500 0:1"})
        CHECK(client.answer(bad).starts_with("BAD"));
    client.ok("ENABLE UIDONLY");
    CHECK(client.ok("UIDBATCHES 1295 1:1").size() == 1);
    client.ok("UNSELECT");
    world.store.make("empty");
    client.ok("SELECT empty");
    CHECK(client.ok("UIDBATCHES 500").front().ends_with("\")"));
}

// ---- MESSAGELIMIT (RFC 9738 3.1): the examples of the RFC with 3 for 1000

namespace {

// UIDs 1 to 8 without 4, at most 3 messages a command.
struct Limited : World {
    Limited() {
        Box& box = inbox(*this, 8);
        store.remove(box, 4);
        message_limit = 3;
    }
};

}  // namespace

TEST_CASE("the limit is announced instead of that of COPY and APPEND") {
    Limited world;
    auto client = world.login();
    auto capabilities = client.ok("CAPABILITY").front();
    CHECK(capabilities.find(" MESSAGELIMIT=3") != std::string::npos);
    CHECK(capabilities.find("SAVELIMIT") == std::string::npos);
    world.move(0);
    CHECK(client.ok("CAPABILITY").front() == capabilities);
}

TEST_CASE("FETCH works on the last messages, downwards") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("FETCH 2:7 (UID FLAGS)") == Lines{"* 7 FETCH (UID 8 FLAGS ())", "* 6 FETCH (UID 7 FLAGS ())",
                                                           "* 5 FETCH (UID 6 FLAGS ())",
                                                           "OK [MESSAGELIMIT 3 6] fetched, the last messages only"});
    CHECK(client.ok("FETCH 5:7 FLAGS").front() == "* 5 FETCH (FLAGS ())");
    // Parses, and messages, are asked for the other way round.
    for (std::string_view item : {"ENVELOPE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "BODY.PEEK[TEXT]", "BODY[]"}) {
        auto lines = client.command("UID FETCH 1:* " + std::string(item));
        CHECK(lines.size() == 4);
        CHECK(lines[0].starts_with("* 7 FETCH (UID 8"));
        CHECK(lines[1].starts_with("* 6 FETCH (UID 7"));
        CHECK(lines[2].starts_with("* 5 FETCH (UID 6"));
        CHECK(lines[3].starts_with("OK [MESSAGELIMIT 3 6]"));
    }
    CHECK(client.command("UID FETCH 1:5 FLAGS").back() == "OK [MESSAGELIMIT 3 2] fetched, the last messages only");
    CHECK(client.command("UID FETCH 1 FLAGS").back() == "OK fetched");
}

TEST_CASE("of FETCH with CHANGEDSINCE those that changed count") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX (CONDSTORE)");
    auto before = std::to_string(world.store.find("INBOX")->mailbox.highest_modseq);
    client.ok("UID STORE 1:2 +FLAGS.SILENT (\\Seen)");
    auto lines = client.command("UID FETCH 1:* FLAGS (CHANGEDSINCE " + before + ")");
    CHECK(lines.back() == "OK fetched");
    CHECK(lines.size() == 3);
}

TEST_CASE("PARTIAL that names more than the limit is refused") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID FETCH 1:* FLAGS (PARTIAL -1:-4)") ==
          Lines{"NO [MESSAGELIMIT 3] too many messages in PARTIAL"});
    CHECK(client.ok("UID FETCH 1:* FLAGS (PARTIAL -3:-1)").front() == "* 5 FETCH (UID 6 FLAGS ())");
}

TEST_CASE("EXPUNGEISSUED has the tagged answer") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    world.store.quiet = true;
    world.store.remove(*world.store.find("INBOX"), 7);
    auto lines = client.command("FETCH 1:7 BODY.PEEK[]");
    CHECK(lines[lines.size() - 2] == "* NO [MESSAGELIMIT 3 6] only the last messages");
    CHECK(lines.back().starts_with("NO [EXPUNGEISSUED]"));
}

TEST_CASE("SEARCH looks at the last messages of those it names") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID SEARCH UID 1:7 UNDELETED") ==
          Lines{"* SEARCH 7 6 5", "OK [MESSAGELIMIT 3 5] searched, the last messages only"});
    CHECK(client.command("UID SEARCH UIDBEFORE 5 UNDELETED") == Lines{"* SEARCH 1 2 3", "OK searched"});
    CHECK(client.command("UID SEARCH (UIDBEFORE 5 UIDAFTER 1) (2:* ALL)") == Lines{"* SEARCH 2 3", "OK searched"});
    CHECK(client.command("SEARCH SUBJECT x") ==
          Lines{"* SEARCH 7 6 5", "OK [MESSAGELIMIT 3 6] searched, the last messages only"});
    // What is searched counts, not what is found.
    CHECK(client.command("SEARCH SEEN") == Lines{"* SEARCH", "OK [MESSAGELIMIT 3 6] searched, the last messages only"});
    CHECK(client.command("UID SEARCH RETURN (COUNT ALL) OR UID 1 UID 8").front().ends_with("UID ALL 8 COUNT 1"));
}

TEST_CASE("what SAVE keeps is cut") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID SEARCH RETURN (SAVE) UNDELETED") ==
          Lines{"OK [MESSAGELIMIT 3 6] searched, the last messages only"});
    CHECK(client.command("UID SEARCH UID $") == Lines{"* SEARCH 6 7 8", "OK searched"});
    CHECK(client.ok("FETCH $ UID").size() == 3);
}

TEST_CASE("what is kept up to date is what was searched") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID SEARCH RETURN (UPDATE COUNT) UNSEEN").back().starts_with("OK [MESSAGELIMIT 3 6]"));
    auto lines = client.command("UID STORE 1,8 +FLAGS (\\Seen)");
    lines = client.command("NOOP");
    auto told = client.command("UID STORE 1 -FLAGS (\\Seen)");
    told.insert(told.begin(), lines.begin(), lines.end());
    for (const auto& line : told) CHECK(line.find("ADDTO") == std::string::npos);
}

TEST_CASE("there is no order of some of the messages") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    for (std::string_view command : {"SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"})
        CHECK(client.command(command) == Lines{"NO [MESSAGELIMIT 3] too many messages for an order of all"});
    CHECK(client.ok("UID SORT (REVERSE ARRIVAL) UTF-8 UID 1:3").front().starts_with("* SORT "));
}

TEST_CASE("several mailboxes have one limit") {
    Limited world;
    world.store.add(world.store.make("a"), std::string(kPlain));
    Box& other = world.store.make("b");
    for (int i = 0; i < 3; i++) world.store.add(other, std::string(kPlain));
    auto client = world.login();
    auto lines = client.command("ESEARCH IN (mailboxes (a b)) ALL");
    CHECK(lines.size() == 2);
    CHECK(lines.front().find("MAILBOX a ") != std::string::npos);
    CHECK(lines.back() == "NO [MESSAGELIMIT 3] too many messages in all these mailboxes");
    lines = client.command("ESEARCH IN (mailboxes INBOX) ALL");
    CHECK(lines.front().ends_with("UID ALL 6:8"));
    CHECK(lines.back() == "OK [MESSAGELIMIT 3 6] searched, the last messages only");
    client.ok("SELECT INBOX");
    lines = client.command("ESEARCH IN (selected mailboxes a) RETURN (UPDATE COUNT) ALL");
    CHECK(lines.back() == "NO [MESSAGELIMIT 3] too many messages in all these mailboxes");
    CHECK(client.answer("CANCELUPDATE \"t4\"").starts_with("BAD"));
}

TEST_CASE("STORE changes the last messages, downwards") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID STORE 1:6 +FLAGS (\\Seen)") ==
          Lines{"* 5 FETCH (UID 6 FLAGS (\\Seen))", "* 4 FETCH (UID 5 FLAGS (\\Seen))",
                "* 3 FETCH (UID 3 FLAGS (\\Seen))", "OK [MESSAGELIMIT 3 3] stored, the last messages only"});
    CHECK(client.command("UID STORE 1:2 +FLAGS (\\Seen)").back() == "OK stored");
    // RFC 7162 3.1.3: MODIFIED has the tagged answer
    auto lines = client.command("UID STORE 1:6 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)");
    CHECK(std::ranges::count(lines, "* NO [MESSAGELIMIT 3 3] only the last messages") == 1);
    CHECK(lines.back().starts_with("OK [MODIFIED 3,5:6]"));
}

TEST_CASE("COPY is all or nothing, MOVE is not") {
    Limited world;
    world.store.make("to");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.command("UID COPY 1:6 to") == Lines{"NO [MESSAGELIMIT 3 3] too many messages to copy"});
    CHECK(client.ok("STATUS to (MESSAGES)") == Lines{"* STATUS to (MESSAGES 0)"});
    CHECK(client.command("UID MOVE 1:6 to").back() == "OK [MESSAGELIMIT 3 3] moved, the last messages only");
    CHECK(client.command("UID MOVE 1:6 to").back() == "OK moved");
}

TEST_CASE("UID EXPUNGE removes the last messages, EXPUNGE all") {
    Limited world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("UID STORE 5:8 +FLAGS (\\Deleted)");
    client.ok("UID STORE 1:2 +FLAGS (\\Deleted)");
    client.ok("UID STORE 5 +FLAGS (\\Deleted)");
    // Messages without \Deleted do not count.
    CHECK(client.command("UID EXPUNGE 1:5").back() == "OK expunged");
    CHECK(client.ok("UID SEARCH UID 1:6") == Lines{"* SEARCH 3 6"});
    client.ok("UID STORE 3 +FLAGS (\\Deleted)");
    CHECK(client.command("UID EXPUNGE 1:8").back() == "OK [MESSAGELIMIT 3 6] expunged, the last messages only");
    client.ok("UNSELECT");
    for (int i = 0; i < 4; i++) world.store.add(*world.store.find("INBOX"), std::string(kPlain));
    client.ok("SELECT INBOX");
    client.ok("UID STORE 9:11 +FLAGS (\\Deleted)");
    client.ok("UID STORE 12 +FLAGS (\\Deleted)");
    CHECK(client.command("EXPUNGE").back() == "OK expunged");
    CHECK(client.ok("STATUS INBOX (MESSAGES)") == Lines{"* STATUS INBOX (MESSAGES 0)"});
}

TEST_CASE("HIGHESTMODSEQ has the tagged answer") {
    Limited world;
    auto client = world.login();
    client.ok("ENABLE QRESYNC");
    client.ok("SELECT INBOX");
    client.ok("UID STORE 6:8 +FLAGS.SILENT (\\Deleted)");
    client.ok("UID STORE 5 +FLAGS.SILENT (\\Deleted)");
    auto lines = client.command("UID EXPUNGE 1:8");
    CHECK(std::ranges::count(lines, "* NO [MESSAGELIMIT 3 6] only the last messages") == 1);
    CHECK(lines.back().starts_with("OK [HIGHESTMODSEQ "));
}

TEST_CASE("APPEND takes as many messages as the limit") {
    Limited world;
    auto client = world.login();
    CHECK(client.answer("APPEND INBOX {4+}\r\na: b {4+}\r\na: b {4+}\r\na: b").starts_with("OK [APPENDUID"));
    CHECK(client.answer("APPEND INBOX {4+}\r\na: b {4+}\r\na: b {4+}\r\na: b {4+}\r\na: b") ==
          "NO [MESSAGELIMIT 3] too many messages at once");
    world.message_limit = 5000;
    auto roomy = world.login();
    std::string text = "APPEND INBOX";
    for (size_t i = 0; i <= kSaveLimit; i++) text += " {4+}\r\na: b";
    CHECK(roomy.answer(text) == "NO [LIMIT] too many messages at once");
}

TEST_CASE("with UIDONLY the answers name UIDs") {
    Limited world;
    auto client = world.login();
    client.ok("ENABLE UIDONLY");
    client.ok("SELECT INBOX");
    CHECK(client.command("UID FETCH 1:* FLAGS") == Lines{"* 8 UIDFETCH (FLAGS ())", "* 7 UIDFETCH (FLAGS ())",
                                                         "* 6 UIDFETCH (FLAGS ())",
                                                         "OK [MESSAGELIMIT 3 6] fetched, the last messages only"});
}

TEST_CASE("a FETCH downwards spans several requests to the storage") {
    World world;
    inbox(world, 450);
    world.message_limit = 430;
    auto client = world.login();
    client.ok("SELECT INBOX");
    for (std::string_view item : {"ENVELOPE", "BODY.PEEK[TEXT]"}) {
        auto lines = client.command("FETCH 1:* " + std::string(item));
        REQUIRE(lines.size() == 431);
        for (size_t i = 0; i < 430; i++) CHECK(lines[i].starts_with("* " + std::to_string(450 - i) + " FETCH ("));
        CHECK(lines.back().starts_with("OK [MESSAGELIMIT 430 21]"));
    }
}
