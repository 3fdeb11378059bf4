// SAVEDATE (RFC 8514), OBJECTID (RFC 8474), PREVIEW (RFC 8970), QUOTA (RFC 9208), METADATA (RFC 5464, RFC 9590).
#include "imapd/worker/preview.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/thread_ids.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

bool has(const Lines& lines, std::string_view line) {
    return std::ranges::find(lines, line) != lines.end();
}

}  // namespace

TEST_CASE("when messages were saved") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.saved = 1704067200 + 86399;  // 1-Jan-2024, one second before the next day
    world.store.add(box, "a: b\r\n\r\n");
    world.store.saved++;
    world.store.add(box, "a: b\r\n\r\n");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1 (SAVEDATE)") == Lines{"* 1 FETCH (SAVEDATE \" 1-Jan-2024 23:59:59 +0000\")"});
    CHECK(client.ok("SEARCH SAVEDON 1-Jan-2024") == Lines{"* SEARCH 1"});
    CHECK(client.ok("SEARCH SAVEDSINCE 2-Jan-2024") == Lines{"* SEARCH 2"});
    CHECK(client.ok("SEARCH SAVEDBEFORE 2-Jan-2024") == Lines{"* SEARCH 1"});
    CHECK(client.ok("SEARCH SAVEDATESUPPORTED") == Lines{"* SEARCH 1 2"});
}

TEST_CASE("identifiers of mailboxes and messages") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, "a: b\r\n\r\n");
    world.store.add(box, "a: b\r\n\r\n");
    auto client = world.login();
    auto created = client.answer("CREATE new");
    CHECK(created.starts_with("OK [MAILBOXID (F"));
    auto id = created.substr(15, created.find(')') - 15);
    CHECK(client.ok("STATUS new (MAILBOXID MESSAGES)") == Lines{"* STATUS new (MESSAGES 0 MAILBOXID (" + id + "))"});
    client.ok("RENAME new newer");
    CHECK(has(client.ok("SELECT newer"), "* OK [MAILBOXID (" + id + ")] for ever"));
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1:2 (EMAILID THREADID)") ==
          Lines{"* 1 FETCH (THREADID (T1-3e8) EMAILID (M1-3e8))", "* 2 FETCH (THREADID (T2-3e8) EMAILID (M2-3e8))"});
    CHECK(client.ok("FETCH 2 (EMAILID BODY.PEEK[])").front().starts_with("* 2 FETCH (EMAILID (M2-3e8) BODY[] {"));
    CHECK(client.ok("SEARCH EMAILID M2-3e8") == Lines{"* SEARCH 2"});
    CHECK(client.ok("SEARCH OR EMAILID M9-3e8 THREADID x") == Lines{"* SEARCH"});
}

TEST_CASE("threads of messages") {
    World world;
    auto& box = *world.store.find("INBOX");
    auto& other = world.store.make("Sent");
    world.store.add(box, "Message-ID: <a@x>\r\nSubject: x\r\n\r\n");
    world.store.add(other, "Message-ID: <b@x>\r\nSubject: Re: x\r\nReferences: <a@x>\r\n\r\n");
    world.store.add(box, "Message-ID: <c@x>\r\nSubject: y\r\n\r\n");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("SEARCH THREADID T1-3e8") == Lines{"* SEARCH 1"});  // before anybody asked for threads
    world.store.add(box, "Message-ID: <d@x>\r\nSubject: Re: x\r\nIn-Reply-To: <b@x>\r\n\r\n");
    client.ok("NOOP");
    CHECK(client.ok("FETCH 1:* (THREADID)") ==
          Lines{"* 1 FETCH (THREADID (T1-3e8))", "* 2 FETCH (THREADID (T3-3e8))", "* 3 FETCH (THREADID (T1-3e8))"});
    CHECK(client.ok("SEARCH THREADID T1-3e8") == Lines{"* SEARCH 1 3"});
    CHECK(client.ok("SEARCH NOT THREADID T1-3e8") == Lines{"* SEARCH 2"});
    std::string many = "SEARCH";
    for (size_t i = 0; i < kMaxThreads; i++) many += " NOT THREADID T9-3e8";
    CHECK(client.ok(many) == Lines{"* SEARCH 1 2 3"});
    CHECK(client.answer(many + " NOT THREADID T9-3e8") == "NO [LIMIT] too many THREADID keys");
    for (const char* wrong : {"T1-3e9", "T1", "T01-3e8", "T1-3e8x", "M1-3e8", "T-", "T1-", "\"\""})
        CHECK(client.ok(std::string("SEARCH THREADID ") + wrong) == Lines{"* SEARCH"});
    CHECK(client.ok("UID FETCH 1 (THREADID ENVELOPE)").front().starts_with("* 1 FETCH (UID 1 THREADID (T1-3e8) ENV"));
    CHECK(client.ok("FETCH 1 (THREADID BODY.PEEK[TEXT])").front() ==
          "* 1 FETCH (THREADID (T1-3e8) BODY[TEXT] {0}\r\n)");
    client.ok("SELECT Sent");
    CHECK(client.ok("FETCH 1 (THREADID)") == Lines{"* 1 FETCH (THREADID (T1-3e8))"});
}

TEST_CASE("there are no threads for guests") {
    World world;
    auto& box = world.store.make("#users/bob/x");
    box.mailbox.id.value |= uint64_t{1} << proto::kOwnerShift;
    world.store.add(box, "Message-ID: <a@x>\r\n\r\n");
    auto client = world.login();
    client.ok("SELECT #users/bob/x");
    CHECK(client.ok("FETCH 1 (THREADID)") == Lines{"* 1 FETCH (THREADID NIL)"});
    CHECK(client.ok("SEARCH THREADID T1-3e8") == Lines{"* SEARCH"});
}

TEST_CASE("what decides on the thread of a message") {
    auto facts = [](std::string_view text) { return thread_facts(5, 77, mail::parse_message(text)); };
    auto one = facts("Message-ID: <A@x>\r\nSubject: Re: [list] Hello\r\nDate: Thu, 1 Jan 1970 00:00:09 +0000\r\n\r\n");
    CHECK(one.content == 5);
    CHECK(one.date == 9);
    CHECK(one.role == proto::ThreadRole::reply);
    CHECK_FALSE(one.has_references);
    REQUIRE(one.ids.size() == 1);
    auto two = facts(
        "Message-ID: <b@x>\r\nSubject: =?utf-8?q?hello?=\r\nReferences: <r@x> <\"a\"@x>\r\n"
        "In-Reply-To: <z@x>\r\n\r\n");
    CHECK(two.date == 77);
    CHECK(two.subject == one.subject);
    CHECK(two.role == proto::ThreadRole::plain);
    CHECK(two.has_references);
    REQUIRE(two.ids.size() == 3);
    CHECK(two.ids[1] == one.ids[0]);  // the closest first
    auto three = facts("In-Reply-To: your message of today <a@x>\r\n\r\n");
    CHECK(three.ids == one.ids);
    CHECK(three.has_references);
    CHECK(three.subject == 0);
    std::string many = "Message-ID: <m@x>\r\nReferences:";
    for (int i = 0; i < 40; i++) many += fmt::format(" <{}@x>", i);
    auto four = facts(many + "\r\n\r\n");
    CHECK(four.ids.size() == proto::kMaxThreadKeys);
    CHECK(four.ids.back() == facts("Message-ID: <0@x>\r\n\r\n").ids[0]);
    CHECK(four.ids[1] == facts("Message-ID: <39@x>\r\n\r\n").ids[0]);
    auto report = facts("Content-Type: multipart/report; report-type=Delivery-Status; boundary=b\r\n\r\n--b--\r\n");
    CHECK(report.role == proto::ThreadRole::report);
    CHECK(report.ids.empty());
}

TEST_CASE("previews") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box,
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                    "  H=C3=A9llo\r\n\r\n\tworld.\r\nOn Monday you wrote:\r\n> old\r\nmore\r\n-- \r\nsignature\r\n");
    world.store.add(box,
                    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
                    "text/html\r\n\r\n<p>html</p>\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n");
    world.store.add(box, "MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nxx\r\n");
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1 (PREVIEW)") == Lines{"* 1 FETCH (PREVIEW {18}\r\nH\xc3\xa9llo world. more)"});
    CHECK(client.ok("FETCH 2:3 (UID PREVIEW (LAZY))") ==
          Lines{"* 2 FETCH (UID 2 PREVIEW \"plain\")", "* 3 FETCH (UID 3 PREVIEW \"\")"});
    CHECK(box.messages[0].row.flags == 0);
    CHECK(preview_of_plain(std::string(1000, 'x')).size() == 200);
    std::string accents;
    for (int i = 0; i < 300; i++) accents += "\xc3\xa9";
    CHECK(preview_of_plain(accents).size() == 400);
    CHECK(preview_of_plain("> all\n> quoted\n").empty());
    CHECK(preview_of_html("<html><head><title>t</title></head><style>a{}</style><!-- <p>no</p> --><p>One&nbsp;&amp; "
                          "two<br>three &#228; &bogus; &</p><script>x</script>") ==
          "One & two three \xc3\xa4 &bogus; &");
    for (std::string_view odd : {"<", "<p", "&", "&amp", "<style>", "<!--", "<style></style", "a<"})
        CHECK(preview_of_html(odd).size() <= 4);
}

TEST_CASE("quota") {
    World world;
    world.store.add(*world.store.find("INBOX"), "a: b\r\n\r\n" + std::string(3000, 'x'));
    auto client = world.login();
    CHECK(client.ok("GETQUOTA \"\"") == Lines{"* QUOTA \"\" ()"});
    world.store.quota = 10240;
    CHECK(client.ok("GETQUOTAROOT INBOX") == Lines{"* QUOTAROOT INBOX \"\"", "* QUOTA \"\" (STORAGE 3 10)"});
    CHECK(client.answer("GETQUOTA other").starts_with("NO"));
    client.ok("SELECT INBOX");
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    CHECK(client.ok("STATUS INBOX (DELETED DELETED-STORAGE)") ==
          Lines{"* STATUS INBOX (DELETED 1 DELETED-STORAGE 3008)"});
}

TEST_CASE("annotations") {
    World world;
    world.store.make("box");
    auto client = world.login();
    client.ok("SETMETADATA INBOX (/private/comment \"My own comment\" /shared/Comment {6+}\r\nshared)");
    CHECK(client.ok("GETMETADATA INBOX /private/comment") ==
          Lines{"* METADATA INBOX (/private/comment \"My own comment\")"});
    CHECK(client.ok("GETMETADATA INBOX (/shared/comment /private/none)") ==
          Lines{"* METADATA INBOX (/shared/comment \"shared\" /private/none NIL)"});
    auto lines = client.command("GETMETADATA INBOX (MAXSIZE 10) (/shared/comment /private/comment)");
    CHECK(lines == Lines{"* METADATA INBOX (/shared/comment \"shared\")", "OK [METADATA LONGENTRIES 14] done"});
    CHECK(client.command("GETMETADATA (MAXSIZE 10) INBOX (/shared/comment /private/comment)") == lines);
    client.ok("SETMETADATA INBOX (/private/f/v/a \"1\" /private/f/v/b/c \"2\" /private/f/vx \"3\")");
    CHECK(client.ok("GETMETADATA INBOX (DEPTH 1) /private/f/v") == Lines{"* METADATA INBOX (/private/f/v/a \"1\")"});
    CHECK(client.ok("GETMETADATA INBOX (DEPTH infinity) /private/f/v") ==
          Lines{"* METADATA INBOX (/private/f/v/a \"1\" /private/f/v/b/c \"2\")"});
    client.ok("SETMETADATA INBOX (/private/f/v/a NIL)");
    CHECK(client.ok("GETMETADATA INBOX (DEPTH 1) /private/f/v").empty());
    client.ok("SETMETADATA \"\" (/shared/vendor/x/y ~{3+}\r\n" + std::string("a\0b", 3) + ")");
    CHECK(client.ok("GETMETADATA \"\" /shared/vendor/x/y") ==
          Lines{"* METADATA \"\" (/shared/vendor/x/y ~{3}\r\n" + std::string("a\0b", 3) + ")"});
    // RFC 9590
    CHECK(client.ok("LIST \"\" % RETURN (METADATA (/shared/comment))") ==
          Lines{R"(* LIST (\HasNoChildren) "/" INBOX)", "* METADATA INBOX (/shared/comment \"shared\")",
                R"(* LIST (\HasNoChildren) "/" box)", "* METADATA box (/shared/comment NIL)"});
    for (std::string bad : {"/other/x", "/private/", "/private/a*", "/private/a//b", "/private", "comment"})
        CHECK(client.answer("GETMETADATA INBOX \"" + bad + "\"").starts_with("BAD"));
    CHECK(client.answer("SETMETADATA INBOX (/private/x {3+}\r\n" + std::string("a\0b", 3) + ")").starts_with("BAD"));
    CHECK(client.answer("GETMETADATA nowhere /private/comment").starts_with("NO [NONEXISTENT]"));
    CHECK(client.answer("SETMETADATA INBOX (/private/x {70000+}\r\n" + std::string(70000, 'x') + ")")
              .starts_with("NO [METADATA MAXSIZE 65536]"));
    world.store.over_quota = true;
    CHECK(client.answer("SETMETADATA INBOX (/private/x \"y\")").starts_with("NO [METADATA TOOMANY]"));
}
