// MULTIAPPEND (RFC 3502), UTF8 and literal8 (RFC 6855 4, RFC 3516 4.4), CATENATE (RFC 4469), REPLACE (RFC 8508).
#include "imapd/grammar/imap_url.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

struct Fixture {
    World world;
    Box& box = world.store.make("box");
    Client client = world.login();
    std::string validity = std::to_string(box.mailbox.uidvalidity);

    /// Writes a whole APPEND and returns its answer; the stream is in step behind it.
    std::string append(std::string_view text) {
        client.write("a " + std::string(text) + "\r\n");
        auto answer = client.until("a").back();
        client.write("n NOOP\r\n");
        CHECK(client.until("n").back() == "n OK done");
        return answer;
    }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "several messages in one APPEND") {
    CHECK(
        append("APPEND box (\\Seen) {5+}\r\na:b\r\n (\\Flagged) \"05-Feb-1999 12:34:56 +0230\" {5+}\r\nc:d\r\n {5+}\r\n"
               "e:f\r\n") == "a OK [APPENDUID " + validity + " 1:3] appended");
    REQUIRE(box.messages.size() == 3);
    CHECK(box.messages[0].row.flags == proto::kSeen);
    CHECK(box.messages[1].row.flags == proto::kFlagged);
    CHECK(box.messages[1].row.received_zone == 150);
    CHECK(*box.messages[2].content == "e:f\r\n");
}

TEST_CASE_METHOD(Fixture, "synchronising, one after the other") {
    client.write("a APPEND box {5}\r\n");
    CHECK(client.line() == "+ go ahead");
    client.write("a:b\r\n {5}\r\n");
    CHECK(client.line() == "+ go ahead");
    client.write("c:d\r\n\r\n");
    CHECK(client.until("a").back() == "a OK [APPENDUID " + validity + " 1:2] appended");
}

TEST_CASE_METHOD(Fixture, "all or none") {
    CHECK(append("APPEND box {5+}\r\na:b\r\n {0+}\r\n") == "a NO an empty message is no message");
    CHECK(append("APPEND box {5+}\r\na:b\r\n (\\Nonsense) {5+}\r\nc:d\r\n {5+}\r\ne:f\r\n") ==
          "a BAD unknown system flag");
    CHECK(append("APPEND box {5+}\r\na:b\r\n {5+}\r\nc:d\r\n{5+}\r\ne:f\r\n") ==
          "a BAD unexpected text after the message");
    CHECK(append("APPEND nowhere {5+}\r\na:b\r\n {5+}\r\nc:d\r\n") == "a NO [TRYCREATE] no such mailbox");
    // The second is refused before it is sent.
    client.write("a APPEND box {5+}\r\na:b\r\n {1099511627776}\r\n");
    CHECK(client.line().starts_with("a NO [TOOBIG]"));
    CHECK(box.messages.empty());
    CHECK(world.store.spools() == 0);
    std::string large(100000, 'x');
    CHECK(append("APPEND box {100000+}\r\n" + large + " {0+}\r\n").starts_with("a NO"));
    world.settle();
    CHECK(world.store.spools() == 0);
    std::string many = "APPEND box";
    for (int i = 0; i < 1001; i++) many += " {3+}\r\na:b";
    CHECK(append(many).starts_with("a NO [MESSAGELIMIT 1000]"));
    CHECK(box.messages.empty());
}

TEST_CASE_METHOD(Fixture, "UTF8 and literal8") {
    CHECK(append("APPEND box (\\Seen) UTF8 (~{9+}\r\na: \xc3\xa9\r\n\r\n)").starts_with("a OK [APPENDUID"));
    CHECK(append("APPEND box ~{5+}\r\na:b\r\n").starts_with("a OK [APPENDUID"));
    CHECK(append(std::string("APPEND box ~{5+}\r\na:\0\r\n", 23)).starts_with("a NO [UNKNOWN-CTE]"));
    CHECK(append("APPEND box UTF8 (~{5+}\r\na:b\r\n").starts_with("a BAD"));
    REQUIRE(box.messages.size() == 2);
    CHECK(*box.messages[0].content == "a: \xc3\xa9\r\n\r\n");
}

TEST_CASE_METHOD(Fixture, "a message put together from parts") {
    world.store.add(box,
                    "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\n"
                    "second\r\n--b--\r\n");
    std::string url = "/box;UIDVALIDITY=" + validity + "/;UID=1";
    CHECK(append("APPEND box (\\Draft) CATENATE (URL \"" + url +
                 "/;SECTION=HEADER\" TEXT {10+}\r\n--b\r\n\r\nX\r\n URL " + url + "/;SECTION=2 TEXT {2+}\r\n\r\n)") ==
          "a OK [APPENDUID " + validity + " 2] appended");
    CHECK(*box.messages[1].content ==
          "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nX\r\nsecond\r\n");
    CHECK(box.messages[1].row.flags == proto::kDraft);
    // Of URLs alone; absolute; with the URL as a literal; of the selected mailbox; a part of a part.
    CHECK(append("APPEND box CATENATE (URL imap://host" + url + ")").starts_with("a OK"));
    CHECK(append("APPEND box CATENATE (URL {" + std::to_string(url.size()) + "+}\r\n" + url + " TEXT {1+}\r\nx)")
              .starts_with("a OK"));
    client.ok("SELECT box");
    CHECK(append("APPEND box CATENATE (URL \"/;UID=1/;SECTION=1/;PARTIAL=1.3\")").starts_with("a OK"));
    CHECK(*box.messages.back().content == "irs");
    for (std::string bad : {"/box;UIDVALIDITY=1/;UID=1", "/box/;UID=99", "/nowhere/;UID=1", "/box/;UID=1/;SECTION=9",
                            "http://x/", "/box/;UID=0", "/box/;UID=1/;SECTION=NONSENSE"})
        CHECK(append("APPEND box CATENATE (URL \"" + bad + "\" TEXT {3+}\r\nabc)")
                  .starts_with("a NO [BADURL " + bad + "]"));
    CHECK(append("APPEND box CATENATE (TEXT {0+}\r\n)") == "a NO an empty message is no message");
    CHECK(append("APPEND box CATENATE (NONSENSE {3+}\r\nabc)").starts_with("a BAD"));
    CHECK(box.messages.size() == 5);
}

TEST_CASE_METHOD(Fixture, "a message replaced in one step") {
    for (int i = 0; i < 3; i++) world.store.add(box, "a: b\r\n\r\n");
    world.store.make("sent");
    client.ok("SELECT box");
    client.write("a REPLACE 2 box (\\Draft) {5+}\r\nc:d\r\n\r\n");
    CHECK(client.until("a") ==
          Lines{"* OK [APPENDUID " + validity + " 4] replaced", "* 2 EXPUNGE", "* 3 EXISTS", "a OK replaced"});
    client.ok("ENABLE QRESYNC");
    client.write("a UID REPLACE 4 sent {5+}\r\ne:f\r\n\r\n");
    auto lines = client.until("a");
    CHECK(lines.size() == 3);
    CHECK(lines[1] == "* VANISHED 4");
    CHECK(lines[2].starts_with("a OK [HIGHESTMODSEQ "));
    CHECK(world.store.find("sent")->messages.size() == 1);
    CHECK(box.messages.size() == 2);
    CHECK(append("UID REPLACE 4 sent {5+}\r\ne:f\r\n").starts_with("a NO [EXPUNGEISSUED]"));
    CHECK(append("REPLACE 9 sent {5+}\r\ne:f\r\n").starts_with("a BAD"));
    CHECK(append("REPLACE 1:2 sent {5+}\r\ne:f\r\n").starts_with("a BAD"));
    CHECK(append("REPLACE 1 sent {5+}\r\ne:f\r\n {5+}\r\ne:f\r\n").starts_with("a BAD"));
    CHECK(append("REPLACE 1 nowhere {5+}\r\ne:f\r\n").starts_with("a NO [TRYCREATE]"));
    // Another session was faster.
    world.store.quiet = true;
    world.store.remove(box, 1);
    CHECK(append("REPLACE 1 box {5+}\r\ne:f\r\n").starts_with("a NO"));
    client.ok("EXAMINE box");
    CHECK(append("REPLACE 1 box {5+}\r\ne:f\r\n").starts_with("a NO [READ-ONLY]"));
    CHECK(box.messages.size() == 1);
}

TEST_CASE("URLs of messages") {
    auto url = parse_message_url("imap://joe@host/a%20b%C3%A9;UIDVALIDITY=7/;UID=20/;SECTION=1.2.MIME/;PARTIAL=5.10");
    REQUIRE(url);
    CHECK(url->mailbox == "a b\xc3\xa9");
    CHECK(url->uidvalidity == 7u);
    CHECK(url->uid == 20);
    CHECK(url->section.numbers == std::vector<uint32_t>{1, 2});
    CHECK(url->section.kind == Section::Kind::mime);
    CHECK(url->section.partial->count == 10);
    CHECK(parse_message_url("/inbox/;UID=1")->mailbox == "INBOX");
    CHECK(parse_message_url(";UID=1")->mailbox.empty());
    for (std::string_view bad :
         {"", "/", "/box", "/box/;UID=", "/box/;UID=x", "/b%zz/;UID=1", "/b%00/;UID=1", "/b%ff/;UID=1",
          "/box/;UID=1/;SECTION=1.2/x", "/box/;UID=1/;PARTIAL=x", "imap://host"}) {
        INFO(bad);
        CHECK_FALSE(parse_message_url(bad));
    }
}
