#include "imapd/grammar/command.h"
#include "imapd/grammar/command_reader.h"
#include "proto/account.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::imapd;

namespace {

std::string failure(std::string_view text) {
    try {
        parse_command(text);
    } catch (const SyntaxError& error) {
        return error.text;
    }
    return {};
}

template <class T>
T parse(std::string_view text) {
    auto command = parse_command(text);
    REQUIRE(std::holds_alternative<T>(command.arguments));
    return std::get<T>(command.arguments);
}

std::string set_text(const SequenceSet& set, uint32_t star) {
    SetWriter writer;
    for (const auto& range : normalise(set, star)) writer.add(range.first, range.last);
    return writer.take();
}

}  // namespace

TEST_CASE("commands that are right") {
    for (std::string_view text :
         {"a NOOP",
          "a1 noop",
          "A.1 Capability",
          "a LOGIN user pass",
          "a LOGIN \"u\\\"ser\" \"p\\\\w\"",
          "a LOGIN {4}\r\nuser {4+}\r\npass",
          "a AUTHENTICATE PLAIN",
          "a AUTHENTICATE PLAIN =",
          "a AUTHENTICATE PLAIN AGEAYg==",
          "a ID NIL",
          "a ID ()",
          "a ID (\"name\" \"x\" \"version\" NIL)",
          "a ENABLE CONDSTORE X-FOO",
          "a SELECT INBOX",
          "a SELECT \"with space\"",
          "a SELECT {5}\r\nINBOX",
          "a SELECT a]b",
          "a EXAMINE &AOk-",
          "a CREATE x",
          "a CREATE x (USE (\\Sent \\Drafts))",
          "a RENAME a b",
          "a LIST \"\" *",
          "a LIST \"\" \"%\"",
          "a LIST ref %/a*",
          "a LIST (SUBSCRIBED) \"\" (a b) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
          "a LIST () \"\" % RETURN ()",
          "a LSUB \"\" *",
          "a STATUS x (messages recent uidnext UIDVALIDITY unseen)",
          "a IDLE",
          "a APPEND x ",
          "a APPEND x (\\Seen $Junk foo) ",
          "a APPEND x \"05-Feb-1999 12:34:56 +0230\" ",
          "a APPEND x () \" 5-Feb-1999 12:34:56 +0230\" ",
          "a UID EXPUNGE 1:*",
          "a EXPUNGE",
          "a STORE 1 FLAGS ()",
          "a STORE 1:2 +FLAGS.SILENT \\Seen foo",
          "a UID STORE 1 -FLAGS (\\Recent)",
          "a COPY 1,3:* x",
          "a UID MOVE 1 x",
          "a SEARCH ALL",
          "a SEARCH CHARSET UTF-8 OR (SEEN FROM x) NOT 1:3 UID 5 BEFORE 1-Feb-2020 SINCE \"01-Feb-2020\"",
          "a UID SEARCH KEYWORD foo UNKEYWORD $Junk HEADER X-A \"\" LARGER 5 BODY {3}\r\nabc",
          "a FETCH 1 ALL",
          "a FETCH 1 fast",
          "a FETCH * (FLAGS UID BODY BODYSTRUCTURE ENVELOPE)",
          "a FETCH 1 BODY[]",
          "a FETCH 1 BODY.PEEK[1.2.MIME]<5.10>",
          "a FETCH 1 (BODY[HEADER.FIELDS (From \"To\")])",
          "a FETCH 1 (BODY[3.HEADER.FIELDS.NOT (x)] RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE INTERNALDATE)"}) {
        INFO(text);
        CHECK(failure(text) == "");
    }
}

TEST_CASE("commands that are wrong") {
    for (std::string_view text : {"",
                                  "a",
                                  "a ",
                                  " NOOP",
                                  "* NOOP",
                                  "+ NOOP",
                                  "(a) NOOP",
                                  "a NOOP ",
                                  "a NOOP x",
                                  "a NONSENSE",
                                  "a UID",
                                  "a UID NOOP",
                                  "a LOGIN",
                                  "a LOGIN x",
                                  "a LOGIN x y z",
                                  "a LOGIN \"x y",
                                  "a LOGIN \"a\\b\" c",
                                  "a LOGIN {3}\r\nab",
                                  "a LOGIN {2}\r\na\0 b",
                                  "a SELECT",
                                  "a SELECT a b",
                                  "a SELECT &",
                                  "a SELECT &!!-",
                                  "a SELECT (a",
                                  "a SELECT a(b",
                                  "a SELECT \"a\x01\rb\"",
                                  "a RENAME a",
                                  "a LIST",
                                  "a LIST \"\"",
                                  "a LIST (RECURSIVEMATCH) \"\" *",
                                  "a LIST (X) \"\" *",
                                  "a LIST \"\" * RETURN",
                                  "a LIST \"\" (a b",
                                  "a STATUS x",
                                  "a STATUS x ()",
                                  "a STATUS x (NONSENSE)",
                                  "a APPEND",
                                  "a APPEND x",
                                  "a APPEND x (\\Nonsense) ",
                                  "a APPEND x \"5-Feb-1999\" ",
                                  "a APPEND x (\\Seen",
                                  "a ID",
                                  "a ID (\"a\")",
                                  "a ENABLE",
                                  "a UID EXPUNGE",
                                  "a STORE 1",
                                  "a STORE 1 FLAGS",
                                  "a STORE 1 FLAGS (\\Nonsense)",
                                  "a STORE 1 NONSENSE (x)",
                                  "a STORE 1 +FLAGS.LOUD (x)",
                                  "a STORE 1 FLAGS (a{b)",
                                  "a COPY 1",
                                  "a COPY x y",
                                  "a SEARCH",
                                  "a SEARCH ",
                                  "a SEARCH ()",
                                  "a SEARCH (SEEN",
                                  "a SEARCH OR SEEN",
                                  "a SEARCH NOT",
                                  "a SEARCH FROM",
                                  "a SEARCH BEFORE 32-Jan-2024",
                                  "a SEARCH LARGER x",
                                  "a SEARCH UID x",
                                  "a SEARCH 0",
                                  "a SEARCH KEYWORD \\Seen",
                                  "a SEARCH CHARSET",
                                  "a SEARCH SEEN ",
                                  "a FETCH",
                                  "a FETCH 1",
                                  "a FETCH 1 (",
                                  "a FETCH 1 ()",
                                  "a FETCH 1 (NONSENSE)",
                                  "a FETCH 1 (BODY[)",
                                  "a FETCH 1 BODY[X]",
                                  "a FETCH 1 BODY[1..2]",
                                  "a FETCH 1 BODY[0]",
                                  "a FETCH 1 BODY[MIME]",
                                  "a FETCH 1 BODY[HEADER.FIELDS]",
                                  "a FETCH 1 BODY[HEADER.FIELDS ()]",
                                  "a FETCH 1 BODY[]<1>",
                                  "a FETCH 1 BODY[]<0.0>",
                                  "a FETCH 1 (FLAGS",
                                  "a FETCH 1 FLAGSX",
                                  "a FETCH 0 FLAGS",
                                  "a FETCH 1: FLAGS",
                                  "a FETCH ,1 FLAGS",
                                  "a FETCH 1, FLAGS",
                                  "a FETCH 1::2 FLAGS",
                                  "a FETCH 4294967296 FLAGS",
                                  "a FETCH 01 FLAGS",
                                  "a FETCH (1) FLAGS",
                                  "a FETCH -1 FLAGS"}) {
        INFO(text);
        CHECK(failure(text) != "");
    }
}

TEST_CASE("arguments come out as written") {
    CHECK(parse<LoginArguments>("a LOGIN {4}\r\nu\r\n\" \"a\\\\\\\"b\"").user == "u\r\n\"");
    CHECK(parse<LoginArguments>("a LOGIN u \"a\\\\\\\"b\"").password == "a\\\"b");
    CHECK(parse<SelectArguments>("a SELECT inBoX").name == "INBOX");
    CHECK(parse<SelectArguments>("a SELECT inbox/A").name == "INBOX/A");
    CHECK(parse<SelectArguments>("a SELECT inboxes").name == "inboxes");
    CHECK(parse<SelectArguments>("a SELECT \"&ZeVnLIqe-/&-\"").name == "日本語/&");
    auto store = parse<StoreArguments>("a STORE 2:4 -FLAGS.SILENT (\\seen $JUNK Word word)");
    CHECK(store.silent);
    CHECK(store.mode == StoreArguments::Mode::remove);
    CHECK(store.flags.bits == (proto::kSeen | proto::kJunk));
    CHECK(store.flags.keywords == std::vector<std::string>{"Word"});
    auto fetch = parse<FetchArguments>("a FETCH 1 (body.peek[1.2.header.fields (from \"x y\")]<3.4> RFC822.TEXT)");
    REQUIRE(fetch.sections.size() == 2);
    CHECK(fetch.sections[0].label == "BODY[1.2.HEADER.FIELDS (from \"x y\")]<3>");
    CHECK(fetch.sections[0].peek);
    CHECK(fetch.sections[0].partial->count == 4);
    CHECK(fetch.sections[1].label == "RFC822.TEXT");
    CHECK_FALSE(fetch.sections[1].peek);
    auto append = parse<AppendArguments>("a APPEND x (\\Draft) \" 5-Feb-1999 12:34:56 +0230\" ");
    CHECK(append.steps[0].flags.bits == proto::kDraft);
    CHECK(append.steps[0].date->zone_minutes == 150);
}

TEST_CASE("message sets") {
    auto set = [](std::string_view text) { return parse<CopyArguments>("a COPY " + std::string(text) + " x").set; };
    CHECK(set_text(set("1"), 9) == "1");
    CHECK(set_text(set("4:2"), 9) == "2:4");
    CHECK(set_text(set("1,1,1:2,3"), 9) == "1:3");
    CHECK(set_text(set("*"), 9) == "9");
    CHECK(set_text(set("*:7"), 9) == "7:9");
    CHECK(set_text(set("12:*"), 9) == "9:12");
    CHECK(set_text(set("5,1:3,9"), 9) == "1:3,5,9");
    CHECK(set_text(set("4294967295,1"), 9) == "1,4294967295");
    auto ranges = normalise(set("2:4,8"), 9);
    for (uint32_t n : {2u, 3u, 4u, 8u}) CHECK(contains(ranges, n));
    for (uint32_t n : {1u, 5u, 7u, 9u}) CHECK_FALSE(contains(ranges, n));
}

TEST_CASE("nesting and counts are bounded") {
    auto repeat = [](std::string_view text, size_t n) {
        std::string out;
        while (n-- > 0) out += text;
        return out;
    };
    CHECK(failure("a SEARCH " + repeat("(", 60) + "SEEN" + repeat(")", 60)) == "");
    CHECK(failure("a SEARCH " + repeat("(", 5000) + "SEEN" + repeat(")", 5000)) == "search keys nested too deeply");
    CHECK(failure("a SEARCH " + repeat("NOT ", 5000) + "SEEN") == "search keys nested too deeply");
    CHECK(failure("a SEARCH " + repeat("OR SEEN ", 5000) + "SEEN") == "search keys nested too deeply");
    CHECK(failure("a SEARCH " + repeat("SEEN ", 1999) + "SEEN") == "");
    CHECK(failure("a SEARCH " + repeat("SEEN ", 2000) + "SEEN") == "too many search keys");
    CHECK(failure("a LIST \"\" " + std::string(1001, '*')) == "mailbox pattern too long");
    CHECK(failure("a FETCH " + repeat("1,", 30000) + "1 FLAGS") == "too many ranges in the message set");
    CHECK(failure("a FETCH 1 (" + repeat("BODY[] ", 200) + "BODY[])") == "too many sections");
    CHECK(failure("a FETCH 1 BODY[" + repeat("1.", 200) + "1]") == "part nested too deeply");
    CHECK(failure("a STORE 1 FLAGS (" + std::string(200, 'k') + ")") == "keyword too long");
}

TEST_CASE("starts of literals") {
    CHECK(find_literal_start("a LOGIN {12}")->size == 12);
    CHECK(find_literal_start("a LOGIN {12}")->synchronising);
    CHECK_FALSE(find_literal_start("a LOGIN {12+}")->synchronising);
    CHECK(find_literal_start("{99999999999999999999}")->size == UINT64_MAX);
    for (std::string_view line : {"", "}", "{}", "{+}", "{-1}", "{1 }", "{a}", "{1}x", "1}"})
        CHECK_FALSE(find_literal_start(line));
}

TEST_CASE("where an APPEND's message begins") {
    for (std::string_view text :
         {"a APPEND x {5}", "a append \"a b\" {5}", "a APPEND {1}\r\nx {5}", "a APPEND x (\\Seen) {5}"})
        CHECK(is_message_literal(text, text.size() - find_literal_start(text)->length));
    for (std::string_view text : {"a APPEND {5}", "a APPENDX y {5}", "a LOGIN x {5}", "a SELECT {5}"})
        CHECK_FALSE(is_message_literal(text, text.size() - find_literal_start(text)->length));
}
