// Delivery status notifications, read back with the own parser.
#include <string>

#include "common/mail/dsn.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header.h"
#include "common/mail/mime_parser.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/mail/mail_samples.h"

using namespace mox::mail;

namespace {

Dsn sample() {
    Dsn dsn;
    dsn.reporting_mta = "mail.example.org";
    dsn.envelope_id = "QQ314159";
    dsn.arrival_date = DateTime{837596665, -420};
    dsn.date = DateTime{837600000, 0};
    dsn.from = {"postmaster", "example.org"};
    dsn.to = {"alice", "example.org"};
    dsn.message_id = "dsn1@mail.example.org";
    dsn.in_reply_to = "m1@example.org";
    dsn.subject = "Not delivered: your message to bob";
    dsn.explanation = "Your message could not be delivered.\nNobody of that name.";
    dsn.recipients.push_back({"rfc822;bob@example.com",
                              {"bob", "example.com"},
                              DsnAction::failed,
                              "5.1.1",
                              "mx.example.com",
                              "550 5.1.1 no\r\nsuch user",
                              DateTime{837599000, 0},
                              std::nullopt});
    dsn.recipients.push_back({std::nullopt,
                              {"carol", "bücher.example"},
                              DsnAction::delayed,
                              "4.4.1",
                              std::nullopt,
                              std::nullopt,
                              std::nullopt,
                              DateTime{838000000, 0}});
    dsn.original_header = "Subject: hello\nFrom: alice@example.org\nX-Long: a\n b\n\n";
    return dsn;
}

std::string body_of(const std::string& message, const Part& part) {
    return message.substr(part.range.body_offset, part.range.end_offset - part.range.body_offset);
}

}  // namespace

TEST_CASE("a delivery status notification") {
    auto message = build_dsn(sample());
    auto info = parse_message(message);
    CHECK_FALSE(info.has_bare_lf);
    CHECK_FALSE(info.has_8bit_body);
    CHECK(info.max_line_length <= 998);
    REQUIRE(info.parts.size() == 4);
    CHECK(info.parts[0].subtype == "report");
    CHECK(find_parameter(info.parts[0].params, "report-type") == "delivery-status");
    CHECK(info.parts[1].type == "text");
    CHECK(info.parts[2].subtype == "delivery-status");
    CHECK(info.parts[3].subtype == "rfc822-headers");
    CHECK(info.envelopes[0].to.at(0).mailbox == "alice");
    CHECK(info.envelopes[0].message_id == "<dsn1@mail.example.org>");
    CHECK(info.envelopes[0].in_reply_to == "<m1@example.org>");
    CHECK(info.date == DateTime{837600000, 0});
    CHECK(find_field(message, "Auto-Submitted")->value == " auto-replied");
    CHECK(body_of(message, info.parts[1]) == "Your message could not be delivered.\r\nNobody of that name.\r\n");
    CHECK(body_of(message, info.parts[2]) ==
          "Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mail.example.org\r\n"
          "Arrival-Date: Wed, 17 Jul 1996 02:44:25 -0700\r\n\r\n"
          "Original-Recipient: rfc822;bob@example.com\r\nFinal-Recipient: rfc822; bob@example.com\r\nAction: failed\r\n"
          "Status: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
          "Last-Attempt-Date: Wed, 17 Jul 1996 10:23:20 +0000\r\n\r\n"
          "Final-Recipient: rfc822; carol@xn--bcher-kva.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
          "Will-Retry-Until: Mon, 22 Jul 1996 01:46:40 +0000\r\n");
    CHECK(body_of(message, info.parts[3]) == "Subject: hello\r\nFrom: alice@example.org\r\nX-Long: a\r\n b\r\n");
}

TEST_CASE("nothing breaks out of a notification") {
    auto dsn = sample();
    dsn.explanation = "a\r\n--=_report_0\r\n--=_report_1--\r\n" + std::string(3000, 'x') + "\rü\xff";
    dsn.original_header = "Subject: \xfc\r\nContent-Type: multipart/mixed; boundary==_report_2\r\n";
    for (int i = 0; i < 20000; ++i) dsn.original_header += "X-N: " + std::to_string(i) + "\r\n";
    dsn.subject = "ü\r\nBcc: x@y, " + std::string(200, 'z');
    dsn.reporting_mta = "a\r\nb";
    dsn.recipients[0].diagnostic = "550 " + std::string(5000, 'y') + "\r\n\r\nAction: delivered ü";
    dsn.recipients[0].final_recipient = {"jür gen", "example.com"};
    auto message = build_dsn(dsn);
    auto info = parse_message(message);
    REQUIRE(info.parts.size() == 4);
    CHECK_FALSE(info.has_bare_lf);
    CHECK_FALSE(info.has_8bit_header);
    CHECK(info.max_line_length <= 998);
    CHECK(info.envelopes[0].bcc.empty());
    CHECK(decode_encoded_words(*info.envelopes[0].subject) == "ü Bcc: x@y, " + std::string(200, 'z'));
    auto status = body_of(message, info.parts[2]);
    CHECK(status.find("Action: delivered") == status.npos);
    CHECK(status.find(R"(Final-Recipient: utf-8; "j\x{FC}r\x{20}gen"@example.com)") != status.npos);
    CHECK(body_of(message, info.parts[3]).size() <= kMaxOriginalHeader + 10);
    CHECK(body_of(message, info.parts[3]).ends_with("\r\n"));
}
