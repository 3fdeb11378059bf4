// SAVELIMIT and its keys (RFC 9738), UIDBATCHES (RFC 10022).
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
                                                     "OK [MESSAGELIMIT 3 3] moved the last of them"});
    CHECK(client.command("UID MOVE 1:6 to").back() == "OK moved");
}

TEST_CASE("as many messages as may be appended at once") {
    World world;
    auto client = world.login();
    std::string text = "APPEND INBOX";
    for (size_t i = 0; i < kSaveLimit; i++) text += " {4+}\r\na: b";
    CHECK(client.answer(text).starts_with("OK [APPENDUID "));
    CHECK(client.answer(text + " {4+}\r\na: b") == "NO [MESSAGELIMIT 1000] too many messages in one APPEND");
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
