// FILTERS (RFC 5466), SEARCH=FUZZY (RFC 6203), LANGUAGE (RFC 5255).
#include "imapd/grammar/language.h"
#include "imapd/worker/search_program.h"
#include "tests/unit/imapd/front_world.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

std::string letter(std::string_view subject, std::string_view from = "a", size_t size = 10) {
    return "From: " + std::string(from) + "@example.com\r\nSubject: " + std::string(subject) + "\r\n\r\n" +
           std::string(size, 'x') + "\r\n";
}

}  // namespace

TEST_CASE("searches kept under a name") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, letter("one", "boss", 9000));
    world.store.add(box, letter("two", "other", 9000));
    world.store.add(box, letter("three", "other"));
    auto client = world.login();
    client.ok("SELECT INBOX");
    // RFC 5466 3.2, 3.1
    client.ok(R"(SETMETADATA "" ("/private/filters/values/on-the-road" "OR SMALLER 5000 FROM \"boss@example.com\""))");
    CHECK(client.ok("SEARCH UID 1:900 FILTER on-the-road SINCE \"1-Jan-1960\"") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH NOT FILTER On-The-Road") == Lines{"* SEARCH 2"});
    CHECK(client.ok("SORT (REVERSE ARRIVAL) UTF-8 FILTER on-the-road").size() == 1);
    CHECK(client.ok("THREAD REFERENCES UTF-8 FILTER on-the-road").front() == "* THREAD (1)(3)");
    CHECK(client.ok("ESEARCH RETURN (COUNT) FILTER on-the-road").front().ends_with(" COUNT 2"));
    // the private one counts
    client.ok(R"(SETMETADATA "" ("/shared/filters/values/on-the-road" "ALL" "/shared/filters/values/all" "ALL"))");
    CHECK(client.ok("SEARCH FILTER on-the-road") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH FILTER all") == Lines{"* SEARCH 1 2 3"});
    client.ok(R"(SETMETADATA "" ("/private/filters/values/on-the-road" NIL))");
    CHECK(client.ok("SEARCH FILTER on-the-road") == Lines{"* SEARCH 1 2 3"});
    CHECK(client.answer("SEARCH FILTER nothing").starts_with("NO [UNDEFINED-FILTER nothing] "));
    CHECK(client.answer("SEARCH CHARSET KOI8-R FILTER all").starts_with("BAD [BADCHARSET"));
    CHECK(client.ok("SEARCH CHARSET UTF-8 FILTER all").size() == 1);
    // what is no search is not kept; what got there all the same is as if it were not there
    CHECK(client.answer(R"(SETMETADATA "" (/private/filters/values/bad "OR SMALLER"))").starts_with("NO"));
    CHECK(client.answer(R"(SETMETADATA "" ("/private/filters/values/a/b" "ALL"))").starts_with("BAD"));
    CHECK(client.answer(R"(SETMETADATA INBOX (/private/filters/values/bad "OR SMALLER"))").starts_with("OK"));
    world.store.metadata[""]["/private/filters/values/bad"] = "OR SMALLER";
    CHECK(client.answer("SEARCH FILTER bad").starts_with("NO [UNDEFINED-FILTER bad] "));
    for (std::string_view bad : {"SEARCH FILTER", "SEARCH FILTER \"x\"", "SEARCH FILTER a/b", "SEARCH FILTER ("})
        CHECK(client.answer(bad).starts_with("BAD"));
    // results are kept up to date by what the filter was
    client.write("u UID SEARCH RETURN (UPDATE COUNT) FILTER on-the-road FLAGGED\r\n");
    client.until("u");
    world.store.metadata[""].clear();
    CHECK(client.ok("STORE 1 +FLAGS.SILENT (\\Flagged)") == Lines{"* ESEARCH (TAG \"u\") UID ADDTO (0 1)"});
}

TEST_CASE("filters that lead to filters") {
    World world;
    world.store.add(*world.store.find("INBOX"), letter("one"));
    auto client = world.login();
    client.ok("SELECT INBOX");
    auto& entries = world.store.metadata[""];
    auto name = [](int i) { return "/private/filters/values/f" + std::to_string(i); };
    entries[name(0)] = "SUBJECT one";
    for (int i = 1; i < 10; i++) entries[name(i)] = "FILTER f" + std::to_string(i - 1);
    CHECK(client.ok("SEARCH FILTER f3") == Lines{"* SEARCH 1"});  // RFC 5466 3.1: at least 3
    CHECK(client.ok("SEARCH FILTER f4") == Lines{"* SEARCH 1"});
    CHECK(client.answer("SEARCH FILTER f9").starts_with("NO [UNDEFINED-FILTER f4] "));
    entries[name(0)] = "FILTER f0";
    CHECK(client.answer("SEARCH FILTER f0").starts_with("NO [UNDEFINED-FILTER f0] "));
    // many times many
    std::string many;
    for (int i = 0; i < 100; i++) many += "FILTER f1 ";
    many.pop_back();
    for (int i = 2; i < 4; i++) entries[name(i)] = many;
    entries[name(1)] = many;
    entries[name(0)] = "ALL";
    CHECK(client.answer("SEARCH FILTER f3").starts_with("NO ["));
    entries[name(1)] = "OR FILTER f0 FILTER f0 FILTER f0";
    CHECK(client.answer("SEARCH FILTER f2").starts_with("OK"));
    many.clear();
    for (int i = 0; i < 400; i++) many += "FILTER f1 ";
    many.pop_back();
    entries[name(2)] = many;
    CHECK(client.answer("SEARCH FILTER f2").starts_with("NO [LIMIT]"));
}

TEST_CASE("fuzzy searches") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, letter("IMAP break"));
    world.store.add(box, letter("broken"));
    world.store.add(box, letter("a break of IMAP"));
    world.store.add(box, letter("IMAP"));
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("SEARCH FUZZY (SUBJECT \"IMAP break\")") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH SUBJECT \"IMAP break\"") == Lines{"* SEARCH 1"});
    CHECK(client.ok("SEARCH FUZZY SUBJECT break FROM a@example.com") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH FUZZY TEXT \"break imap x\" FUZZY UNSEEN") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT \"imap break\"") ==
          Lines{R"(* ESEARCH (TAG "t6") ALL 1,3 RELEVANCY (100 50))"});
    CHECK(client.ok("SORT (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT \"imap break\"") == Lines{"* SORT 3 1"});
    CHECK(client.ok("SORT RETURN (RELEVANCY ALL) (RELEVANCY REVERSE ARRIVAL) UTF-8 FUZZY SUBJECT \"break imap\"") ==
          Lines{R"(* ESEARCH (TAG "t8") ALL 1,3 RELEVANCY (50 50))"});
    CHECK(client.ok("SORT RETURN (RELEVANCY PARTIAL 1:1) (RELEVANCY) UTF-8 FUZZY SUBJECT \"imap break\"") ==
          Lines{R"(* ESEARCH (TAG "t9") PARTIAL (1:1 1) RELEVANCY (100))"});
    CHECK(client.answer("SEARCH RETURN (RELEVANCY) SUBJECT x").starts_with("BAD"));
    CHECK(client.answer("SORT (RELEVANCY) UTF-8 SUBJECT x").starts_with("BAD"));
    CHECK(client.answer("SEARCH FUZZY").starts_with("BAD"));
    client.write("u SORT RETURN (UPDATE COUNT) (RELEVANCY) UTF-8 FUZZY SUBJECT x\r\n");
    CHECK(client.until("u")[1].starts_with("* NO [NOUPDATE \"u\"] "));
    client.write("v SEARCH RETURN (UPDATE COUNT) FUZZY SUBJECT \"b a\"\r\n");
    client.until("v");
    world.store.add(box, letter("a b"));
    CHECK(client.ok("NOOP").back() == "* ESEARCH (TAG \"v\") ADDTO (0 5)");
    // too many words: as written
    std::string words;
    for (int i = 0; i < 21; i++) words += "imap ";
    words.pop_back();
    CHECK(client.ok("SEARCH FUZZY SUBJECT \"" + words + "\"") == Lines{"* SEARCH"});
}

TEST_CASE("languages") {
    World world;
    auto client = world.login();
    CHECK(client.ok("LANGUAGE") == Lines{"* LANGUAGE (EN i-default)"});
    CHECK(client.ok("LANGUAGE FR-CA EN-CA") == Lines{"* LANGUAGE (EN)"});  // RFC 5255 3.2
    CHECK(client.ok("LANGUAGE \"default\"") == Lines{"* LANGUAGE (i-default)"});
    CHECK(client.answer("LANGUAGE MUL") == "NO no such language");
    CHECK(client.answer("LANGUAGE DE-IT \"\" - --") == "NO no such language");
    CHECK(choose_language({"en-a-b-c"}) == "EN");
    CHECK(choose_language({"x", "I-DEFAULT"}) == "i-default");
}

TEST_CASE("languages before the login") {
    FrontWorld front;
    auto before = front.connect();
    CHECK(before.ok("LANGUAGE EN") == Lines{"* LANGUAGE (EN)"});
    CHECK(before.answer("LANGUAGE DE") == "NO no such language");
}
