// Searches that are kept up to date (RFC 5267 4, RFC 5465 7).
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

std::string letter(std::string_view subject, std::string_view from = "a") {
    return "From: " + std::string(from) + "@x.example\r\nSubject: " + std::string(subject) + "\r\n\r\nbody\r\n";
}

struct Opened {
    World world;
    Box& box = *world.store.find("INBOX");
    Client client;

    explicit Opened(std::vector<std::string> subjects) : client(world.login()) {
        for (const auto& subject : subjects) world.store.add(box, letter(subject));
        client.ok("SELECT INBOX");
    }
};

}  // namespace

TEST_CASE("results of a search are kept up to date") {
    Opened o({"one", "two", "three"});
    auto& client = o.client;
    client.write("B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk\r\n");
    CHECK(client.until("B01") == Lines{"* ESEARCH (TAG \"B01\") UID COUNT 0", "B01 OK searched"});
    // RFC 5267 4.3: the tag is taken
    client.write("B01 SORT RETURN (UPDATE) (SUBJECT) UTF-8 FLAGGED\r\n");
    CHECK(client.until("B01").back().starts_with("B01 BAD"));
    // RFC 5267 4.3.3: FETCH, then ADDTO
    CHECK(client.ok("STORE 2:3 +FLAGS (\\Deleted $Junk)") == Lines{"* 2 FETCH (FLAGS (\\Deleted $Junk))",
                                                                   "* 3 FETCH (FLAGS (\\Deleted $Junk))",
                                                                   "* ESEARCH (TAG \"B01\") UID ADDTO (0 2:3)"});
    CHECK(client.ok("STORE 2 -FLAGS.SILENT ($Junk)") == Lines{"* ESEARCH (TAG \"B01\") UID REMOVEFROM (0 2)"});
    CHECK(client.ok("STORE 2 +FLAGS.SILENT (\\Flagged)").empty());
    // RFC 5267 4.3.4: before EXPUNGE
    o.world.store.remove(o.box, 3);
    CHECK(client.ok("NOOP") == Lines{"* ESEARCH (TAG \"B01\") UID REMOVEFROM (0 3)", "* 3 EXPUNGE"});
    o.world.store.add(o.box, letter("four"), proto::kDeleted | proto::kJunk);
    CHECK(client.ok("NOOP") == Lines{"* 3 EXISTS", "* ESEARCH (TAG \"B01\") UID ADDTO (0 4)"});
    CHECK(client.answer("CANCELUPDATE \"B02\"").starts_with("BAD"));
    CHECK(client.ok("CANCELUPDATE \"B01\"").empty());
    CHECK(client.ok("STORE 3 -FLAGS.SILENT (\\Deleted)").empty());
    CHECK(client.answer("CANCELUPDATE \"B01\"").starts_with("BAD"));
}

TEST_CASE("message numbers in results and in keys") {
    Opened o({"one", "two", "three"});
    auto& client = o.client;
    client.write("a SEARCH RETURN (UPDATE ALL) UNSEEN\r\n");
    CHECK(client.until("a").front() == "* ESEARCH (TAG \"a\") ALL 1:3");
    // RFC 5267 4.3: numbers in keys mean what they meant
    client.write("b SEARCH RETURN (UPDATE ALL) 2:3 FLAGGED\r\n");
    client.until("b");
    client.write("c UID SEARCH RETURN (UPDATE COUNT) UID 3:* FLAGGED\r\n");
    client.until("c");
    o.world.store.remove(o.box, 1);
    o.world.settle();
    // a number is told as long as it is right: while EXPUNGE waits too
    CHECK(client.ok("FETCH 2 (UID)") == Lines{"* 2 FETCH (UID 2)", "* ESEARCH (TAG \"a\") REMOVEFROM (0 1)"});
    CHECK(client.ok("NOOP") == Lines{"* 1 EXPUNGE"});
    o.world.store.add(o.box, letter("four"), proto::kSeen | proto::kFlagged);
    CHECK(client.ok("NOOP") == Lines{"* 3 EXISTS", "* ESEARCH (TAG \"c\") UID ADDTO (0 4)"});
    CHECK(client.ok("STORE 1 +FLAGS.SILENT (\\Seen \\Flagged)") ==
          Lines{"* ESEARCH (TAG \"a\") REMOVEFROM (0 1)", "* ESEARCH (TAG \"b\") ADDTO (0 1)"});
    CHECK(client.ok("EXPUNGE").empty());
    client.ok("UNSELECT");
    client.ok("SELECT INBOX");
    CHECK(client.ok("STORE 1:* -FLAGS.SILENT (\\Seen \\Flagged)").empty());
}

TEST_CASE("keywords that come later, and what needs the messages themselves") {
    Opened o({"one"});
    auto& client = o.client;
    client.write("k SEARCH RETURN (UPDATE COUNT) KEYWORD red\r\n");
    client.until("k");
    client.write("t UID SEARCH RETURN (UPDATE COUNT CONTEXT) SUBJECT boss BODY bod\r\n");
    CHECK(client.until("t").front() == "* ESEARCH (TAG \"t\") UID COUNT 0");
    auto lines = client.ok("STORE 1 +FLAGS.SILENT (red)");
    CHECK(lines.back() == "* ESEARCH (TAG \"k\") ADDTO (0 1)");
    o.world.store.add(o.box, letter("other"));
    o.world.store.add(o.box, letter("the boss"));
    CHECK(client.ok("NOOP") == Lines{"* 3 EXISTS", "* ESEARCH (TAG \"t\") UID ADDTO (0 3)"});
}

TEST_CASE("results in order are told with their places") {
    Opened o({"d", "b"});
    auto& client = o.client;
    client.write("s UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED\r\n");
    CHECK(client.until("s").front() == "* ESEARCH (TAG \"s\") UID ALL 2,1");
    o.world.store.add(o.box, letter("c"));
    CHECK(client.ok("NOOP") == Lines{"* 3 EXISTS", "* ESEARCH (TAG \"s\") UID ADDTO (2 3)"});
    o.world.store.add(o.box, letter("a"));
    o.world.store.add(o.box, letter("aa"));
    o.world.store.add(o.box, letter("e"));
    CHECK(client.ok("NOOP") == Lines{"* 6 EXISTS", "* ESEARCH (TAG \"s\") UID ADDTO (1 4:5 6 6)"});
    // 4 5 2 3 1 6
    CHECK(client.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)") == Lines{"* ESEARCH (TAG \"s\") UID REMOVEFROM (3 2:3)"});
    o.world.store.remove(o.box, 6);
    o.world.store.remove(o.box, 4);
    CHECK(client.ok("NOOP") == Lines{"* ESEARCH (TAG \"s\") UID REMOVEFROM (1 4 3 6)", "* 4 EXPUNGE", "* 5 EXPUNGE"});
    client.write("r SORT RETURN (UPDATE COUNT) (REVERSE ARRIVAL) UTF-8 ALL\r\n");
    client.until("r");
    o.world.store.add(o.box, letter("x"), 0, "", {1000, 0});
    CHECK(client.ok("NOOP") ==
          Lines{"* 5 EXISTS", "* ESEARCH (TAG \"s\") UID ADDTO (3 7)", "* ESEARCH (TAG \"r\") ADDTO (1 5)"});
}

TEST_CASE("no word on progress outside of commands") {
    World world;
    auto& box = *world.store.find("INBOX");
    SessionLimits limits;
    limits.progress = std::chrono::milliseconds(1);
    auto client = world.login(limits);
    client.ok("SELECT INBOX");
    client.write("s SEARCH RETURN (UPDATE COUNT) BODY needle\r\n");
    client.until("s");
    client.write("i IDLE\r\n");
    CHECK(client.line() == "+ idling");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    world.store.add(box, letter("x") + "needle\r\n");
    CHECK(client.line() == "* 1 EXISTS");
    CHECK(client.line() == "* ESEARCH (TAG \"s\") ADDTO (0 1)");
    client.write("DONE\r\n");
    CHECK(client.line() == "i OK idled");
}

TEST_CASE("searches that are not kept up to date") {
    Opened o({"one"});
    auto& client = o.client;
    for (int i = 0; i < 10; i++) {
        std::string tag = "c" + std::to_string(i);
        client.write(tag + " SEARCH RETURN (UPDATE) FLAGGED\r\n");
        CHECK(client.until(tag) == Lines{"* ESEARCH (TAG \"" + tag + "\")", tag + " OK searched"});
    }
    // RFC 5267 4.3.1: the rest is done all the same
    client.write("B02 UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL\r\n");
    auto lines = client.until("B02");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == "* ESEARCH (TAG \"B02\") UID COUNT 1");
    CHECK(lines[1].starts_with("* NO [NOUPDATE \"B02\"] "));
    CHECK(lines[2] == "B02 OK sorted");
    client.ok("CANCELUPDATE \"c0\" \"c1\"");
    std::string text(65 * 1024, 'x');
    client.write("big SEARCH RETURN (UPDATE) BODY {" + std::to_string(text.size()) + "+}\r\n" + text + "\r\n");
    CHECK(client.until("big")[1].starts_with("* NO [NOUPDATE \"big\"] "));
    client.write("B02 UID SORT RETURN (UPDATE) (DATE) UTF-8 ALL\r\n");
    CHECK(client.until("B02").size() == 2);
    for (std::string_view bad : {"CANCELUPDATE", "SEARCH RETURN (UPDATE ()) ALL", "SEARCH RETURN (UPDATE (BOGUS)) ALL",
                                 "SEARCH RETURN (UPDATE (UID) ALL", "THREAD RETURN (UPDATE) REFERENCES UTF-8 ALL"})
        CHECK(client.answer(bad).starts_with("BAD"));
}

TEST_CASE("new results are fetched") {
    Opened o({"one"});
    auto& client = o.client;
    // RFC 5465 7
    client.write("a00 SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT)])) FROM \"boss\"\r\n");
    CHECK(client.until("a00").front() == "* ESEARCH (TAG \"a00\") COUNT 0");
    o.world.store.add(o.box, letter("hello", "myboss"));
    o.world.store.add(o.box, letter("hello", "someone"));
    CHECK(client.ok("NOOP") ==
          Lines{"* 3 EXISTS",
                "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (TO FROM SUBJECT)] {42}\r\nFrom: myboss@x.example\r\nSubject: "
                "hello\r\n\r\n)",
                "* ESEARCH (TAG \"a00\") ADDTO (0 2)"});
    // together with what NOTIFY wants, in one FETCH, between commands
    client.ok("NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))");
    o.world.store.add(o.box, letter("x", "boss"));
    CHECK(client.line() == "* 4 EXISTS");
    CHECK(client.line() ==
          "* 4 FETCH (UID 4 FLAGS () BODY[HEADER.FIELDS (TO FROM SUBJECT)] {36}\r\nFrom: "
          "boss@x.example\r\nSubject: x\r\n\r\n)");
    CHECK(client.line() == "* ESEARCH (TAG \"a00\") ADDTO (0 4)");
    // RFC 5465 7: not for what matches by a change of flags; 5.2: not for its own messages
    client.write("f SEARCH RETURN (UPDATE (UID)) FLAGGED\r\n");
    client.until("f");
    CHECK(client.ok("STORE 1 +FLAGS.SILENT (\\Flagged)") == Lines{"* ESEARCH (TAG \"f\") ADDTO (0 1)"});
    CHECK(client.ok("APPEND INBOX (\\Flagged) {6+}\r\na: b\r\n") ==
          Lines{"* 5 EXISTS", "* ESEARCH (TAG \"f\") ADDTO (0 5)"});
    // storaged does not answer for a while
    o.world.store.remove(o.box, 1);
    CHECK(client.line() == "* ESEARCH (TAG \"f\") REMOVEFROM (0 1)");
    CHECK(client.line() == "* 1 EXPUNGE");
}
