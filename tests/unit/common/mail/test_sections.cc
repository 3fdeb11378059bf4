// Sections of messages, header subsets, and the IMAP text of envelopes and body structures.
#include <string>
#include <vector>

#include "common/mail/imap_text.h"
#include "common/mail/mime_parser.h"
#include "common/mail/part_data.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/mail/mail_samples.h"

using namespace mox::mail;

namespace {

using Numbers = std::vector<uint32_t>;

std::string section(std::string_view message, const Numbers& numbers, SectionKind kind) {
    auto range = find_section(parse_message(message), numbers, kind);
    return range ? std::string(message.substr(range->offset, range->length)) : "(none)";
}

std::string body_text(std::string_view message, BodyForm form, ImapRevision revision = ImapRevision::rev1) {
    std::string out;
    append_body(out, parse_message(message), 0, form, Utf8::forbidden, revision);
    return out;
}

std::string string_text(std::string_view s, Utf8 utf8 = Utf8::forbidden) {
    std::string out;
    append_string(out, s, utf8);
    return out;
}

}  // namespace

TEST_CASE("the sections of RFC 3501 6.4.5") {
    using enum SectionKind;
    auto get = [](const Numbers& numbers, SectionKind kind) { return section(kComplex, numbers, kind); };
    CHECK(get({}, whole) == kComplex);
    CHECK(get({}, header).ends_with("boundary=outer\r\n\r\n"));
    CHECK(get({}, header) + get({}, text) == kComplex);
    CHECK(get({}, text).ends_with("epilogue\r\n"));
    CHECK(get({}, mime) == "(none)");
    CHECK(get({1}, whole) == "first text");
    CHECK(get({1}, mime) == "\r\n");
    CHECK(get({2}, whole) == "binary");
    CHECK(get({2}, mime) == "Content-Type: application/octet-stream\r\n\r\n");
    CHECK(get({3}, mime) == "Content-Type: message/rfc822\r\n\r\n");
    CHECK(get({3}, header) ==
          "Subject: embedded\r\nFrom: b@example.org\r\nContent-Type: multipart/mixed; boundary=in3\r\n\r\n");
    CHECK(get({3}, header) + get({3}, text) == get({3}, whole));
    CHECK(get({3, 1}, whole) == "inner text");
    CHECK(get({3, 2}, whole) == "inner binary");
    CHECK(get({4, 1}, whole) == "R0lG");
    CHECK(get({4, 1}, mime).starts_with("Content-Type: image/gif\r\n"));
    CHECK(get({4, 2}, header) == "Subject: deep\r\nContent-Type: multipart/mixed; boundary=in42\r\n\r\n");
    CHECK(get({4, 2, 1}, whole) == "deep text");
    CHECK(get({4, 2, 2, 1}, whole) == "plain");
    CHECK(get({4, 2, 2, 2}, whole) == "rich");
    for (const auto& numbers : std::vector<Numbers>{{0}, {5}, {1, 1}, {3, 3}, {4, 2, 2, 3}, {4, 2, 2, 2, 1}, {4, 3}}) {
        CHECK(get(numbers, whole) == "(none)");
        CHECK(get(numbers, mime) == "(none)");
    }
    CHECK(get({1}, header) == "(none)");
    CHECK(get({4}, text) == "(none)");
}

TEST_CASE("sections of messages without multipart") {
    using enum SectionKind;
    const std::string plain = "Subject: x\r\n\r\nbody\r\n";
    CHECK(section(plain, {1}, whole) == "body\r\n");
    CHECK(section(plain, {1}, mime) == "Subject: x\r\n\r\n");
    CHECK(section(plain, {1}, header) == "(none)");
    CHECK(section(plain, {1, 1}, whole) == "(none)");
    CHECK(section(plain, {2}, whole) == "(none)");
    const std::string forwarded = "Subject: x\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nbody\r\n";
    CHECK(section(forwarded, {1}, whole) == "Subject: y\r\n\r\nbody\r\n");
    CHECK(section(forwarded, {1}, header) == "Subject: y\r\n\r\n");
    CHECK(section(forwarded, {1}, text) == "body\r\n");
    CHECK(section(forwarded, {1, 1}, whole) == "body\r\n");
    CHECK(section(forwarded, {1, 1, 1}, whole) == "(none)");
    CHECK_FALSE(find_part(MessageInfo{}, {}));
}

TEST_CASE("subsets of header fields") {
    const std::string header = "A: 1\r\nB: 2\r\n folded\r\nno field\r\na: 3\r\n\r\n";
    const std::vector<std::string> names = {"a", "C"};
    CHECK(select_header_fields(header, names, Select::listed) == "A: 1\r\na: 3\r\n\r\n");
    CHECK(select_header_fields(header, names, Select::not_listed) == "B: 2\r\n folded\r\nno field\r\n\r\n");
    CHECK(select_header_fields(header, std::vector<std::string>{"X"}, Select::listed) == "\r\n");
    CHECK(select_header_fields("A: 1\r\n", names, Select::listed) == "A: 1\r\n");  // no empty line, no body
    CHECK(select_header_fields("A: 1\n\n", names, Select::listed) == "A: 1\n\n");
    CHECK(select_header_fields("", names, Select::listed) == "");
}

TEST_CASE("IMAP strings") {
    CHECK(string_text("") == "\"\"");
    CHECK(string_text("a\"b\\c") == R"("a\"b\\c")");
    CHECK(string_text("a\r\nb") == "{4}\r\na\r\nb");
    CHECK(string_text("ü") == "{2}\r\nü");
    CHECK(string_text("ü", Utf8::allowed) == "\"ü\"");
    CHECK(string_text("\xfc", Utf8::allowed) == "{1}\r\n\xfc");
    CHECK(string_text(std::string("a\0b", 3)) == "{3}\r\na b");
    CHECK(string_text(std::string(1001, 'x')).starts_with("{1001}\r\nxxx"));
    std::string out;
    append_nstring(out, std::nullopt);
    append_nstring(out, "");
    append_astring(out, "atom]");
    append_astring(out, "nil");
    append_astring(out, "");
    append_astring(out, "a b");
    CHECK(out == "NIL\"\"atom]\"nil\"\"\"\"a b\"");
}

TEST_CASE("ENVELOPE") {
    // RFC 3501 7.4.2's example
    auto info = parse_message(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
        "Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
        "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: "
        "<B27397-0100000@cac.washington.edu>\r\n\r\n");
    std::string out;
    append_envelope(out, info.envelopes[0]);
    const std::string terry = R"((("Terry Gray" NIL "gray" "cac.washington.edu")))";
    CHECK(out == R"x(("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" )x" + terry + " " +
                     terry + " " + terry + R"( ((NIL NIL "imap" "cac.washington.edu")) )" +
                     R"(((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) )" +
                     R"(NIL NIL "<B27397-0100000@cac.washington.edu>"))");
    out.clear();
    append_envelope(out, parse_message("Subject:\r\nTo: g: a@b;\r\n\r\n").envelopes[0]);
    CHECK(out == R"((NIL "" NIL NIL NIL ((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL NIL))");
}

TEST_CASE("BODY and BODYSTRUCTURE") {
    using enum BodyForm;
    CHECK(body_text("\r\nhi\r\n", body) == R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 1))");
    CHECK(body_text("\r\nhi\r\n", bodystructure) ==
          R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 1 NIL NIL NIL NIL))");
    CHECK(body_text("Content-Type: TEXT/PLAIN\r\n\r\nhi\r\n", body) == R"(("TEXT" "PLAIN" NIL NIL NIL "7bit" 4 1))");
    CHECK(body_text(
              "Content-Type: a/b; c=d; e=\"f g\"\r\nContent-Disposition: attachment\r\nContent-Language: en\r\n\r\nx",
              bodystructure) == R"(("a" "b" ("c" "d" "e" "f g") NIL NIL "7bit" 1 NIL ("attachment" NIL) "en" NIL))");
    CHECK(
        body_text(kSimpleMultipart, body) ==
        R"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 80 1)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 78 2) "mixed"))");
    CHECK(body_text(kSimpleMultipart, bodystructure)
              .ends_with(R"( "mixed" ("boundary" "simple boundary") NIL NIL NIL))"));
    CHECK(body_text("Content-Type: multipart/mixed; boundary=b\r\n\r\nno part", body) ==
          R"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed"))");
    CHECK(body_text("Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nbody\r\n", body) ==
          R"(("message" "rfc822" NIL NIL NIL "7bit" 20 (NIL "y" NIL NIL NIL NIL NIL NIL NIL NIL) )"
          R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1) 3))");
    CHECK(body_text("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nxxxx", body) ==
          R"(("message" "rfc822" NIL NIL NIL "base64" 4 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) )"
          R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 0))");
    const std::string global = "Content-Type: message/global\r\n\r\nSubject: y\r\n\r\n";
    CHECK(body_text(global, body) == R"(("message" "global" NIL NIL NIL "7bit" 14))");
    CHECK(body_text(global, body, ImapRevision::rev2) ==
          R"(("message" "global" NIL NIL NIL "7bit" 14 (NIL "y" NIL NIL NIL NIL NIL NIL NIL NIL) )"
          R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 2))");
    auto picture = body_text(kComplex, bodystructure);
    CHECK(picture.find(R"(("image" "gif" NIL "<gif@x>" "a picture" "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" )"
                       R"(("inline" ("filename" "y.gif")) ("en" "de") "http://x/y.gif"))") != picture.npos);
    std::string out;
    append_body(out, MessageInfo{}, 0, body);
    CHECK(out == "NIL");
}
