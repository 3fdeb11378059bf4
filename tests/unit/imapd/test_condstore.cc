// CONDSTORE and QRESYNC (RFC 7162), UIDONLY (RFC 9586): what sessions are told of modseqs and of removals.
#include "imapd/worker/vanished.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

bool has(const Lines& lines, std::string_view line) {
    return std::ranges::find(lines, line) != lines.end();
}

std::string modseq_of(Box& box, size_t index) {
    return std::to_string(box.messages[index].row.modseq);
}

std::string highest(Box& box) {
    return std::to_string(box.mailbox.highest_modseq);
}

}  // namespace

TEST_CASE("modseqs are told once a command spoke of them") {
    World world;
    auto& box = inbox(world, 3);
    auto client = world.login();
    CHECK(has(client.ok("SELECT INBOX"), "* OK [HIGHESTMODSEQ " + highest(box) + "] highest"));
    CHECK(client.ok("STORE 1 +FLAGS (\\Seen)") == Lines{"* 1 FETCH (FLAGS (\\Seen))"});
    auto lines = client.ok("FETCH 1 (MODSEQ)");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].starts_with("* OK [HIGHESTMODSEQ "));
    CHECK(lines[1] == "* 1 FETCH (MODSEQ (" + modseq_of(box, 0) + "))");
    lines = client.ok("STORE 2 +FLAGS.SILENT (\\Seen)");
    CHECK(lines == Lines{"* 2 FETCH (MODSEQ (" + modseq_of(box, 1) + "))"});
    lines = client.ok("UID STORE 2 -FLAGS (\\Seen)");
    CHECK(lines == Lines{"* 2 FETCH (UID 2 FLAGS () MODSEQ (" + modseq_of(box, 1) + "))"});
    lines = client.ok("FETCH 3 (BODY[TEXT])");
    CHECK(lines.front().starts_with("* 3 FETCH (FLAGS (\\Seen) MODSEQ (" + modseq_of(box, 2) + ")"));
    auto other = world.login();
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)");
    CHECK(client.ok("NOOP") == Lines{"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen) MODSEQ (" + modseq_of(box, 0) + "))"});
    CHECK(client.ok("STATUS INBOX (HIGHESTMODSEQ)") == Lines{"* STATUS INBOX (HIGHESTMODSEQ " + highest(box) + ")"});
}

TEST_CASE("every way to become aware of modseqs") {
    World world;
    inbox(world, 1);
    for (std::string text : {"SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)", "ENABLE CONDSTORE",
                             "ENABLE QRESYNC", "LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))"}) {
        auto client = world.login();
        client.ok(text);
        client.ok("SELECT INBOX");
        auto lines = client.ok("STORE 1 FLAGS (\\Seen)");
        INFO(text);
        CHECK(lines.front().find("MODSEQ (") != std::string::npos);
    }
    for (std::string text : {"FETCH 1 (FLAGS) (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 99999) +FLAGS (\\Seen)",
                             "SEARCH MODSEQ 1", "ENABLE CONDSTORE"}) {
        auto client = world.login();
        client.ok("SELECT INBOX");
        INFO(text);
        CHECK(client.ok(text).size() >= 1);
        CHECK(client.ok("STORE 1 FLAGS (\\Seen)").front().find("MODSEQ (") != std::string::npos);
    }
}

TEST_CASE("FETCH CHANGEDSINCE") {
    World world;
    auto& box = inbox(world, 4);
    auto client = world.login();
    client.ok("SELECT INBOX (CONDSTORE)");
    auto since = highest(box);
    CHECK(client.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE " + since + ")").empty());
    client.ok("STORE 2,4 +FLAGS.SILENT (\\Flagged)");
    CHECK(client.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE " + since + ")") ==
          Lines{"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (" + modseq_of(box, 1) + "))",
                "* 4 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (" + modseq_of(box, 3) + "))"});
    CHECK(client.answer("FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)").starts_with("BAD"));
    CHECK(client.answer("UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)").starts_with("BAD"));
    CHECK(client.answer("UID FETCH 1 FLAGS (VANISHED)").starts_with("BAD"));
    CHECK(client.answer("FETCH 1 FLAGS (NONSENSE)").starts_with("BAD"));
}

TEST_CASE("STORE UNCHANGEDSINCE refuses what others changed") {
    World world;
    auto& box = inbox(world, 3);
    auto a = world.login();
    auto b = world.login();
    a.ok("SELECT INBOX (CONDSTORE)");
    b.ok("SELECT INBOX");
    auto since = highest(box);
    b.ok("STORE 2 +FLAGS.SILENT (\\Flagged)");
    auto lines = a.command("STORE 1:3 (UNCHANGEDSINCE " + since + ") +FLAGS.SILENT (\\Deleted)");
    CHECK(lines.back().starts_with("OK [MODIFIED 2]"));
    CHECK(lines.size() == 4);
    CHECK(has(lines, "* 1 FETCH (MODSEQ (" + modseq_of(box, 0) + "))"));
    CHECK(has(lines, "* 3 FETCH (MODSEQ (" + modseq_of(box, 2) + "))"));
    CHECK(has(lines, "* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (" + modseq_of(box, 1) + "))"));
    CHECK(box.messages[1].row.flags == proto::kFlagged);
    CHECK(a.answer("UID STORE 1:3 (UNCHANGEDSINCE 0) FLAGS ()").starts_with("OK [MODIFIED 1:3]"));
}

TEST_CASE("QRESYNC: removals as VANISHED, the modseq with the answer") {
    World world;
    auto& box = inbox(world, 6);
    auto a = world.login();
    auto b = world.login();
    CHECK(a.ok("ENABLE QRESYNC") == Lines{"* ENABLED QRESYNC"});
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    a.ok("STORE 2:4 +FLAGS.SILENT (\\Deleted)");
    auto lines = a.command("EXPUNGE");
    CHECK(lines == Lines{"* VANISHED 2:4", "OK [HIGHESTMODSEQ " + highest(box) + "] expunged"});
    CHECK(b.ok("NOOP") == Lines{"* 2 EXPUNGE", "* 2 EXPUNGE", "* 2 EXPUNGE"});
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    b.ok("EXPUNGE");
    // Numbers must stay while a command names some: the highest modseq told stays behind (RFC 7162 3.2).
    world.settle();
    lines = a.command("STORE 3 +FLAGS (\\Seen)");
    CHECK(lines[0].starts_with("* 3 FETCH (UID 6 FLAGS (\\Seen) MODSEQ ("));
    CHECK(lines[1].starts_with("* OK [HIGHESTMODSEQ "));
    CHECK(lines[1].find(' ' + highest(box) + ']') == std::string::npos);
    CHECK(a.ok("NOOP") == Lines{"* VANISHED 1"});
}

TEST_CASE("SELECT with QRESYNC tells what happened meanwhile") {
    World world;
    auto& box = inbox(world, 8);
    auto since = highest(box);
    auto validity = std::to_string(box.mailbox.uidvalidity);
    auto other = world.login();
    other.ok("SELECT INBOX");
    other.ok("STORE 2,3,7 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    other.ok("STORE 1,5 +FLAGS.SILENT (\\Flagged)");
    auto client = world.login();
    CHECK(client.answer("SELECT INBOX (QRESYNC (" + validity + " " + since + "))").starts_with("BAD"));
    client.ok("ENABLE QRESYNC");
    SECTION("all") {
        auto lines = client.ok("SELECT INBOX (QRESYNC (" + validity + " " + since + "))");
        REQUIRE(lines.size() > 3);
        Lines last(lines.end() - 3, lines.end());
        CHECK(last == Lines{"* VANISHED (EARLIER) 2:3,7",
                            "* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (" + modseq_of(box, 0) + "))",
                            "* 5 FETCH (UID 8 FLAGS (\\Flagged) MODSEQ (" + modseq_of(box, 4) + "))"});
    }
    SECTION("of the known ones, with sequence match data") {
        auto lines = client.ok("SELECT INBOX (QRESYNC (" + validity + " " + since + " 3:5,8 (1,4 1,5)))");
        Lines last(lines.end() - 2, lines.end());
        CHECK(last[0] == "* VANISHED (EARLIER) 3");
        CHECK(last[1].starts_with("* 5 FETCH (UID 8 "));
    }
    SECTION("another UIDVALIDITY") {
        for (const auto& line : client.ok("SELECT INBOX (QRESYNC (1 " + since + "))"))
            CHECK(line.find("VANISHED") == std::string::npos);
    }
    SECTION("by UID FETCH, also what is gone and not told yet") {
        client.ok("SELECT INBOX");
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        other.ok("EXPUNGE");
        auto lines = client.ok("UID FETCH 1:3 (FLAGS) (CHANGEDSINCE " + since + " VANISHED)");
        CHECK(lines.front() == "* VANISHED (EARLIER) 2:3");
        CHECK(lines.back() == "* VANISHED 1");
    }
    CHECK(client.answer("SELECT INBOX (QRESYNC (" + validity + " 5 1:*))").starts_with("BAD"));
}

TEST_CASE("UIDONLY: no message numbers any more") {
    World world;
    inbox(world, 4);
    world.store.make("to");
    auto client = world.login();
    client.ok("ENABLE UIDONLY");
    for (const auto& line : client.ok("SELECT INBOX")) CHECK(line.find("UNSEEN") == std::string::npos);
    for (std::string_view text :
         {"FETCH 1 FLAGS", "SEARCH ALL", "STORE 1 FLAGS ()", "COPY 1 to", "MOVE 1 to", "UID SEARCH 1:2"})
        CHECK(client.answer(text).starts_with("BAD [UIDREQUIRED]"));
    CHECK(client.ok("UID FETCH 2 (FLAGS)") == Lines{"* 2 UIDFETCH (FLAGS ())"});
    CHECK(client.ok("UID STORE 1 +FLAGS (\\Deleted)") == Lines{"* 1 UIDFETCH (FLAGS (\\Deleted))"});
    CHECK(client.ok("EXPUNGE") == Lines{"* VANISHED 1"});
    auto other = world.login();
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS (\\Seen)");
    CHECK(client.ok("NOOP") == Lines{"* 2 UIDFETCH (FLAGS (\\Seen))"});
    CHECK(client.ok("UID SEARCH UID 2:3") == Lines{"* SEARCH 2 3"});
}

TEST_CASE("sets of UIDs") {
    using Ranges = std::vector<SequenceRange>;
    CHECK(intersect({{1, 5}, {8, 9}}, {{2, 3}, {5, 8}, {10, 20}}) == Ranges{{2, 3}, {5, 5}, {8, 8}});
    CHECK(intersect({}, {{1, 2}}).empty());
    CHECK(intersect({{1, UINT32_MAX}}, {{7, 7}, {UINT32_MAX, UINT32_MAX}}) == Ranges{{7, 7}, {UINT32_MAX, UINT32_MAX}});
}
