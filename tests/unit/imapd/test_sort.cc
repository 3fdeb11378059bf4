// SORT and THREAD (RFC 5256), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267).
#include "common/mail/fold_case.h"
#include "imapd/worker/base_subject.h"
#include "imapd/worker/threading.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

ThreadMessage message(uint32_t number, std::string id, std::vector<std::string> references, std::string subject = "") {
    return {number - 1, number, base_subject(subject), std::move(id), std::move(references)};
}

std::string references(std::vector<ThreadMessage> messages) {
    return write_threads(thread_by_references(messages), messages, [](uint32_t index) { return index + 1; });
}

void fill(World& world) {
    auto& box = *world.store.find("INBOX");
    auto add = [&](std::string from, std::string subject, int day, std::string more = "") {
        world.store.add(box,
                        "From: " + from + "\r\nSubject: " + subject + "\r\nDate: " + std::to_string(day) +
                            " Jan 2024 10:00:00 +0000\r\n" + more + "\r\nx\r\n",
                        0, "", {1704067200 - day, 0});
    };
    add("Zoe <a@x.example>", "Beta", 3, "Message-ID: <1@x>\r\nTo: t@x.example\r\n");
    add("b@x.example", "Re: alpha", 1, "Message-ID: <2@x>\r\nIn-Reply-To: <3@x>\r\n");
    add("Carl <c@x.example>", "Alpha", 2, "Message-ID: <3@x>\r\nTo: s@x.example\r\n");
    add("B@y.example", "[list] beta (fwd)", 4, "Message-ID: <4@x>\r\nReferences: <0@x> <1@x>\r\n");
}

}  // namespace

TEST_CASE("base subjects (RFC 5256 2.1)") {
    struct Row {
        std::string_view subject, base;
        bool is_reply;
    };
    for (const auto& row : {Row{"Hello", "hello", false},
                            Row{"Re: Hello", "hello", true},
                            Row{"RE: re:  Fwd:\tHello  (fwd) (FWD)", "hello", true},
                            Row{"Re[2]: Hello", "hello", true},
                            Row{"Re [list]: Hello", "hello", true},
                            Row{"[list] Hello", "hello", false},
                            Row{"[list] [x] Re: [list] Hello", "hello", true},
                            Row{"[only]", "[only]", false},
                            Row{"Re: [only]", "[only]", true},
                            Row{"[Fwd: Re: Hello]", "hello", true},
                            Row{"[fwd: [fwd: a] ]", "a", true},
                            Row{"", "", false},
                            Row{"Re:", "", true},
                            Row{"Fw: x", "x", true},
                            Row{"Ref: x", "ref: x", false},
                            Row{"Reply", "reply", false},
                            Row{"=?utf-8?q?Re=3A_Caf=C3=89?=", "caf\xc3\xa9", true},
                            Row{"[", "[", false},
                            Row{"Re[", "re[", false},
                            Row{"a\r\n b", "a b", false}}) {
        INFO(row.subject);
        auto base = base_subject(row.subject);
        CHECK(base.text == mail::fold_case(row.base));
        CHECK(base.is_reply == row.is_reply);
    }
}

TEST_CASE("SORT by each key") {
    World world;
    fill(world);
    auto client = world.login();
    client.ok("SELECT INBOX");
    struct Row {
        std::string keys, order;
    };
    for (const auto& row : std::vector<Row>{{"ARRIVAL", " 4 1 3 2"},
                                            {"DATE", " 2 3 1 4"},
                                            {"REVERSE DATE", " 4 1 3 2"},
                                            {"SUBJECT DATE", " 2 3 1 4"},
                                            {"SUBJECT REVERSE DATE", " 3 2 4 1"},
                                            {"FROM", " 1 2 4 3"},
                                            {"REVERSE FROM", " 3 2 4 1"},
                                            {"TO", " 2 4 3 1"},
                                            {"DISPLAYFROM", " 2 4 3 1"},
                                            {"DISPLAYTO", " 2 4 3 1"},
                                            {"CC", " 1 2 3 4"}}) {
        INFO(row.keys);
        CHECK(client.ok("SORT (" + row.keys + ") UTF-8 ALL") == Lines{"* SORT" + row.order});
    }
    CHECK(client.ok("SORT (DATE) US-ASCII SUBJECT alpha") == Lines{"* SORT 2 3"});
    CHECK(client.ok("SORT (DATE) UTF-8 SEEN") == Lines{"* SORT"});
    CHECK(client.ok("SORT (SIZE) UTF-8 ALL") == Lines{"* SORT 1 2 3 4"});
    CHECK(client.ok("SORT (REVERSE SIZE) UTF-8 ALL") == Lines{"* SORT 4 2 3 1"});  // 2 and 3 are equal
    CHECK(client.answer("SORT (DATE) X-NONE ALL").starts_with("NO [BADCHARSET"));
    CHECK(client.answer("SORT () UTF-8 ALL").starts_with("BAD"));
    CHECK(client.answer("SORT (NONSENSE) UTF-8 ALL").starts_with("BAD"));
    CHECK(client.answer("SORT (REVERSE REVERSE DATE) UTF-8 ALL").starts_with("BAD"));
    CHECK(client.answer("SORT DATE UTF-8 ALL").starts_with("BAD"));
    // ESORT
    auto lines = client.ok("UID SORT RETURN (MIN MAX COUNT ALL) (REVERSE DATE) UTF-8 ALL");
    CHECK(lines.front().ends_with(") UID MIN 4 MAX 2 ALL 4,1,3,2 COUNT 4"));
    lines = client.ok("SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL");
    CHECK(lines.front().ends_with(") PARTIAL (2:3 3,1)"));
    CHECK(client.ok("SORT RETURN (SAVE) (DATE) UTF-8 SUBJECT beta").empty());
    CHECK(client.ok("FETCH $ (UID)") == Lines{"* 1 FETCH (UID 1)", "* 4 FETCH (UID 4)"});
    CHECK(client.ok("SORT (DATE) UTF-8 MODSEQ 1").back().find("* SORT 2 3 1 4 (MODSEQ ") == 0);
}

TEST_CASE("THREAD over a mailbox") {
    World world;
    fill(world);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("THREAD REFERENCES UTF-8 ALL") == Lines{"* THREAD (3 2)(1 4)"});
    CHECK(client.ok("THREAD ORDEREDSUBJECT UTF-8 ALL") == Lines{"* THREAD (2 3)(1 4)"});
    CHECK(client.ok("UID THREAD REFERENCES UTF-8 FROM x.example") == Lines{"* THREAD (3 2)(1)"});
    CHECK(client.ok("THREAD REFERENCES UTF-8 SEEN") == Lines{"* THREAD"});
    CHECK(client.answer("THREAD NONSENSE UTF-8 ALL").starts_with("BAD"));
    CHECK(client.answer("THREAD REFERENCES ALL").starts_with("BAD"));
}

TEST_CASE("a client that waits is told how far it is") {
    World world;
    fill(world);
    auto client = world.login({.progress = std::chrono::seconds(0)});
    client.ok("SELECT INBOX");
    auto lines = client.command("SEARCH TEXT nothing");
    CHECK(std::ranges::find(lines, "* OK [INPROGRESS (\"t2\" 0 4)] still at it") != lines.end());
    client.write("x] THREAD REFERENCES UTF-8 ALL\r\n");
    CHECK(client.line() == "* OK [INPROGRESS (NIL 0 4)] still at it");
    CHECK(client.until("x]").back() == "x] OK threaded");
    // What is caught up with before threads are told: how much that is, is not known.
    client.write("y FETCH 1 (THREADID)\r\n");
    CHECK(client.line() == "* OK [INPROGRESS (\"y\" 0 NIL)] still at it");
    client.until("y");
}

TEST_CASE("threads by references") {
    // RFC 5256 4: the shapes of an answer
    CHECK(references({message(1, "1", {}), message(2, "2", {"1"}), message(3, "3", {"1", "2"})}) == "(1 2 3)");
    CHECK(references({message(1, "1", {}), message(2, "2", {"1"}), message(3, "3", {"1"})}) == "(1 (2)(3))");
    CHECK(references({message(1, "1", {}), message(2, "2", {"1"}), message(3, "3", {"2"}), message(4, "4", {"2"}),
                      message(5, "5", {"4"})}) == "(1 2 (3)(4 5))");
    // A parent that is not there: siblings share it at the top, an only child stands for it, one below is passed over.
    CHECK(references({message(1, "1", {"0"}), message(2, "2", {"0"})}) == "((1)(2))");
    CHECK(references({message(1, "1", {"0"})}) == "(1)");
    CHECK(references({message(1, "1", {}), message(3, "3", {"1", "2"}), message(4, "4", {"1", "2"})}) == "(1 (3)(4))");
    // In any order of arrival, without ids, with the same id twice, with loops.
    CHECK(references({message(1, "3", {"1", "2"}), message(2, "2", {"1"}), message(3, "1", {})}) == "(3 2 1)");
    CHECK(references({message(1, "", {}), message(2, "", {})}) == "(1)(2)");
    CHECK(references({message(1, "1", {}), message(2, "1", {}), message(3, "2", {"1"})}) == "(1 3)(2)");
    CHECK(references({message(1, "1", {"2"}), message(2, "2", {"1"})}) == "(2 1)");
    CHECK(references({message(1, "1", {"1"})}) == "(1)");
    // The last reference counts, whatever another message said before.
    CHECK(
        references({message(1, "3", {"1", "2", "x"}), message(2, "2", {"9"}), message(3, "9", {}), message(4, "1", {})})
            .find("(3 2") != std::string::npos);
}

TEST_CASE("threads of one subject are joined") {
    CHECK(references({message(1, "1", {}, "a"), message(2, "2", {}, "Re: a")}) == "(1 2)");
    CHECK(references({message(1, "1", {}, "Re: a"), message(2, "2", {}, "a")}) == "(2 1)");
    CHECK(references({message(1, "1", {}, "a"), message(2, "2", {}, "a")}) == "((1)(2))");
    CHECK(references({message(1, "1", {}, "a"), message(2, "2", {}, "a"), message(3, "3", {}, "a")}) == "((1)(2)(3))");
    CHECK(references({message(1, "1", {}, ""), message(2, "2", {}, "")}) == "(1)(2)");
    CHECK(references({message(1, "1", {"0"}, "a"), message(2, "2", {"0"}, "a"), message(3, "3", {}, "Re: a")}) ==
          "((1)(2)(3))");
    CHECK(references({message(1, "1", {"0"}, "a"), message(2, "2", {"0"}, "a"), message(3, "3", {"9"}, "a"),
                      message(4, "4", {"9"}, "a")}) == "((1)(2)(3)(4))");
}

TEST_CASE("a long chain takes neither the stack nor for ever") {
    std::vector<ThreadMessage> messages;
    for (uint32_t i = 1; i <= 50000; i++) messages.push_back(message(i, std::to_string(i), {std::to_string(i - 1)}));
    auto text = references(messages);
    CHECK(text.starts_with("(1 2 3 4 "));
    CHECK(text.ends_with(" 50000)"));
    std::ranges::reverse(messages);
    CHECK(references(messages).size() == text.size());
}
