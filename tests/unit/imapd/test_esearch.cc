// SEARCH with RETURN: ESEARCH (RFC 4731), SEARCHRES (RFC 5182), PARTIAL (RFC 9394), MODSEQ (RFC 7162), WITHIN (RFC
// 5032).
#include <chrono>

#include "imapd/worker/search_answer.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

void fill(World& world, int messages) {
    Box& box = *world.store.find("INBOX");
    for (int i = 1; i <= messages; i++)
        world.store.add(box, "Subject: x\r\n\r\nbody\r\n", i % 2 == 0 ? proto::kFlagged : 0);
    world.store.remove(box, 1);  // so that numbers and UIDs differ
}

// The ESEARCH answer without its tag.
std::string result(const Lines& lines) {
    REQUIRE(lines.size() == 1);
    auto at = lines[0].find(')');
    CHECK(lines[0].starts_with("* ESEARCH (TAG \"t"));
    return lines[0].substr(at + 1);
}

}  // namespace

TEST_CASE("what RETURN asks for") {
    World world;
    fill(world, 10);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(result(client.ok("SEARCH RETURN (MIN COUNT) FLAGGED")) == " MIN 1 COUNT 5");
    CHECK(result(client.ok("UID SEARCH RETURN (MIN MAX) FLAGGED")) == " UID MIN 2 MAX 10");
    CHECK(result(client.ok("SEARCH RETURN () ALL")) == " ALL 1:9");
    CHECK(result(client.ok("UID SEARCH RETURN (ALL COUNT) UNFLAGGED")) == " UID ALL 3,5,7,9 COUNT 4");
    CHECK(result(client.ok("SEARCH RETURN (MIN MAX ALL COUNT) SEEN")) == " COUNT 0");
    CHECK(result(client.ok("SEARCH RETURN (MIN) SEEN")).empty());
    CHECK(client.ok("SEARCH FLAGGED") == Lines{"* SEARCH 1 3 5 7 9"});
    CHECK(client.answer("SEARCH RETURN (NONSENSE) ALL").starts_with("BAD"));
    CHECK(client.answer("SEARCH RETURN MIN ALL").starts_with("BAD"));
}

TEST_CASE("PARTIAL gives a piece of the results") {
    World world;
    fill(world, 10);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(result(client.ok("UID SEARCH RETURN (PARTIAL 1:3) ALL")) == " UID PARTIAL (1:3 2:4)");
    CHECK(result(client.ok("UID SEARCH RETURN (PARTIAL 3:1) ALL")) == " UID PARTIAL (3:1 2:4)");
    CHECK(result(client.ok("UID SEARCH RETURN (PARTIAL -1:-2 COUNT) ALL")) == " UID COUNT 9 PARTIAL (-1:-2 9:10)");
    CHECK(result(client.ok("UID SEARCH RETURN (PARTIAL 8:500) ALL")) == " UID PARTIAL (8:500 9:10)");
    CHECK(result(client.ok("UID SEARCH RETURN (PARTIAL 10:500) ALL")) == " UID PARTIAL (10:500 NIL)");
    for (std::string_view text : {"PARTIAL 1:2 ALL", "PARTIAL 0:2", "PARTIAL -1:2", "PARTIAL 1:2 PARTIAL 1:2"})
        CHECK(client.answer("SEARCH RETURN (" + std::string(text) + ") ALL").starts_with("BAD"));
    CHECK(client.ok("UID FETCH 3:9 (UID) (PARTIAL -1:-2)") == Lines{"* 7 FETCH (UID 8)", "* 8 FETCH (UID 9)"});
    CHECK(client.ok("UID FETCH 2:3,5,9 (UID) (PARTIAL 2:3)") == Lines{"* 2 FETCH (UID 3)", "* 4 FETCH (UID 5)"});
    CHECK(client.answer("FETCH 1 (UID) (PARTIAL 1:2)").starts_with("BAD"));
    CHECK(resolve_partial({false, 2, 5}, 3) == std::pair<size_t, size_t>{1, 3});
    CHECK(resolve_partial({true, 2, 5}, 3) == std::pair<size_t, size_t>{0, 2});
    CHECK(resolve_partial({true, UINT32_MAX, UINT32_MAX}, 0) == std::pair<size_t, size_t>{0, 0});
}

TEST_CASE("the saved result") {
    World world;
    fill(world, 10);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH $ (UID)").empty());
    CHECK(client.ok("SEARCH RETURN (SAVE) FLAGGED").empty());
    CHECK(client.ok("FETCH $ (UID)").size() == 5);
    CHECK(client.ok("UID FETCH $ (FLAGS)").size() == 5);
    CHECK(client.ok("SEARCH $ UID 4:6") == Lines{"* SEARCH 3 5"});
    CHECK(client.ok("UID SEARCH NOT $") == Lines{"* SEARCH 3 5 7 9"});
    // RFC 5182 2.4: what MIN and MAX tell is what is saved, with COUNT or ALL everything
    CHECK(result(client.ok("UID SEARCH RETURN (SAVE MIN MAX) ALL")) == " UID MIN 2 MAX 10");
    CHECK(client.ok("FETCH $ (UID)") == Lines{"* 1 FETCH (UID 2)", "* 9 FETCH (UID 10)"});
    client.ok("UID SEARCH RETURN (SAVE MIN COUNT) FLAGGED");
    CHECK(client.ok("FETCH $ (UID)").size() == 5);
    client.ok("UID SEARCH RETURN (SAVE PARTIAL 2:3 MAX) ALL");
    CHECK(client.ok("FETCH $ (UID)") == Lines{"* 2 FETCH (UID 3)", "* 3 FETCH (UID 4)", "* 9 FETCH (UID 10)"});
    // What goes leaves the result; what is refused leaves nothing, what is wrong changes nothing.
    client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    client.ok("EXPUNGE");
    CHECK(client.ok("FETCH $ (UID)") == Lines{"* 2 FETCH (UID 4)", "* 8 FETCH (UID 10)"});
    CHECK(client.answer("SEARCH RETURN (SAVE) SUBJECT {1+}\r\n\xff").starts_with("BAD"));
    CHECK(client.ok("FETCH $ (UID)").size() == 2);
    CHECK(client.answer("SEARCH RETURN (SAVE) CHARSET X-NONE ALL").starts_with("NO [BADCHARSET"));
    CHECK(client.ok("FETCH $ (UID)").empty());
    CHECK(client.ok("STORE $ +FLAGS (\\Seen)").empty());
    client.ok("SEARCH RETURN (SAVE) ALL");
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH $ (UID)").empty());
}

TEST_CASE("modseqs in searches") {
    World world;
    fill(world, 4);
    auto& box = *world.store.find("INBOX");
    auto client = world.login();
    client.ok("SELECT INBOX (CONDSTORE)");
    auto modseq = [&](size_t i) { return std::to_string(box.messages[i].row.modseq); };
    CHECK(client.ok("SEARCH MODSEQ " + modseq(1)) == Lines{"* SEARCH 2 3 (MODSEQ " + modseq(2) + ")"});
    CHECK(client.ok("SEARCH MODSEQ \"/flags/\\\\draft\" all " + modseq(2)) ==
          Lines{"* SEARCH 3 (MODSEQ " + modseq(2) + ")"});
    CHECK(client.ok("SEARCH MODSEQ 99999") == Lines{"* SEARCH"});
    CHECK(result(client.ok("SEARCH RETURN (MIN) MODSEQ 1")) == " MIN 1 MODSEQ " + modseq(0));
    CHECK(result(client.ok("SEARCH RETURN (MIN MAX) MODSEQ 1")) == " MIN 1 MAX 3 MODSEQ " + modseq(2));
    CHECK(result(client.ok("SEARCH RETURN (COUNT) MODSEQ 99999")) == " COUNT 0");
    CHECK(client.answer("SEARCH MODSEQ \"/other\" all 5").starts_with("BAD"));
}

TEST_CASE("older and younger") {
    World world;
    Box& box = *world.store.find("INBOX");
    auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    for (int age : {10000, 5000, 0}) world.store.add(box, "A: b\r\n\r\n", 0, "", {now.count() - age, 0});
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("SEARCH OLDER 4000") == Lines{"* SEARCH 1 2"});
    CHECK(client.ok("SEARCH YOUNGER 8000") == Lines{"* SEARCH 2 3"});
    CHECK(client.ok("SEARCH OLDER 4000 YOUNGER 8000") == Lines{"* SEARCH 2"});
    CHECK(client.answer("SEARCH OLDER 0").starts_with("BAD"));
}

TEST_CASE("IMAP4rev2: ESEARCH always, LIST with SELECT, nothing recent") {
    World world;
    fill(world, 3);
    auto client = world.login();
    CHECK(client.ok("ENABLE IMAP4rev2") == Lines{"* ENABLED IMAP4rev2"});
    auto lines = client.ok("SELECT INBOX");
    CHECK(std::ranges::find(lines, "* LIST () \"/\" INBOX") != lines.end());
    for (const auto& line : lines) {
        CHECK(line.find("RECENT") == std::string::npos);
        CHECK(line.find("UNSEEN") == std::string::npos);
    }
    CHECK(result(client.ok("UID SEARCH FLAGGED")) == " UID ALL 2");
    CHECK(result(client.ok("SEARCH SEEN")).empty());
}
