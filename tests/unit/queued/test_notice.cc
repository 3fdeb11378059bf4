#include "queued/notice.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::queued;

namespace {

NoticeRecipient recipient(std::string address, smtp::Outcome outcome) {
    NoticeRecipient r;
    r.entry.recipient = std::move(address);
    r.entry.mail_from = "me@here.example";
    r.entry.queued = 1700000000;
    r.entry.last_attempt = 1700000100;
    r.entry.attempts = 3;
    r.entry.message_id = "<original@here.example>";
    r.outcome = std::move(outcome);
    r.decision.give_up_at = 1700400000;
    return r;
}

smtp::Outcome refused() {
    auto o = smtp::from_reply({550, "5.1.1", {"5.1.1 no such user here"}}, smtp::Scope::message);
    o.remote_name = "mx.remote.example";
    o.remote_address = "192.0.2.1";
    return o;
}

const NoticeFacts kFacts{"mail.here.example", "notice.1@mail.here.example", 1700018000, "Subject: hello\r\n\r\n"};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("a notice of failure says what, who and what to do") {
    auto text = build_notice(Notice::failed, {recipient("you@remote.example", refused())}, kFacts);
    CAPTURE(text);
    CHECK(has(text, "To: <me@here.example>\r\n"));
    CHECK(has(text, "From: Mail Delivery System <postmaster@mail.here.example>\r\n"));
    CHECK(has(text, "In-Reply-To: <original@here.example>\r\n"));
    CHECK(has(text, "mx.remote.example (192.0.2.1) answered:\r\n    550 5.1.1 no such user here\r\n"));
    CHECK(has(text, "What you can do: check the address"));
    CHECK(has(text, "Final-Recipient: rfc822; you@remote.example\r\n"));
    CHECK(has(text, "Action: failed\r\n"));
    CHECK(has(text, "Status: 5.1.1\r\n"));
    CHECK(has(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"));
    CHECK(has(text, "Remote-MTA: dns; mx.remote.example (192.0.2.1)\r\n"));
    CHECK(has(text, "Subject: hello\r\n"));
    CHECK_FALSE(has(text, "Will-Retry-Until"));
}

TEST_CASE("a notice of delay tells until when, and that nothing is to be done") {
    auto busy =
        smtp::failure(smtp::Verdict::temporary, smtp::Scope::host, "4.4.1", "cannot connect: Connection refused");
    busy.remote_name = "mx.remote.example";
    auto text = build_notice(Notice::delayed, {recipient("you@remote.example", busy)}, kFacts);
    CAPTURE(text);
    CHECK(has(text, "has not been delivered yet, 5 hours after you sent it"));
    CHECK(has(text, "Action: delayed\r\n"));
    CHECK(has(text, "Status: 4.4.1\r\n"));
    CHECK(has(text, "Will-Retry-Until: Sun, 19 Nov 2023 13:20:00 +0000\r\n"));
    CHECK_FALSE(has(text, "Diagnostic-Code"));
    CHECK_FALSE(has(text, "What you can do"));
}

TEST_CASE("a message given up says for how long it was tried") {
    auto r = recipient("you@remote.example", smtp::from_reply({450, "", {"later"}}, smtp::Scope::message));
    r.decision.expired = true;
    auto text = build_notice(Notice::failed, {r, recipient("two@remote.example", refused())}, kFacts);
    CAPTURE(text);
    CHECK(has(text, "It was tried 3 times in 5 hours."));
    CHECK(has(text, "Status: 5.4.7\r\n"));
    CHECK(has(text, "Final-Recipient: rfc822; two@remote.example\r\n"));
}

TEST_CASE("status codes take the class of the notice") {
    auto status = [](Notice kind, const char* enhanced, bool expired) {
        return dsn_status(kind, smtp::failure(smtp::Verdict::temporary, smtp::Scope::host, enhanced, ""), expired);
    };
    CHECK(status(Notice::failed, "4.2.2", true) == "5.2.2");
    CHECK(status(Notice::delayed, "4.2.2", false) == "4.2.2");
    CHECK(status(Notice::failed, "5.0.0", false) == "5.0.0");
    CHECK(status(Notice::failed, "4.0.0", true) == "5.4.7");
    CHECK(status(Notice::delayed, "", false) == "4.4.7");
}

TEST_CASE("what a server says cannot break out of the notice") {
    auto evil = refused();
    evil.text = "550 a\r\n\r\n--=_report_0\r\nContent-Type: text/html\r\n\r\nb";
    auto text = build_notice(Notice::failed, {recipient("you@remote.example", evil)}, kFacts);
    CHECK_FALSE(has(text, "boundary=\"=_report_0\""));
}
