// The MIME parser: structure, offsets, tolerance, limits, and that the split of the bytes does not matter.
#include <random>
#include <string>
#include <vector>

#include "common/mail/mime_parser.h"
#include "common/mail/part_data.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/mail/mail_samples.h"

using namespace mox::mail;

namespace {

MessageInfo parse_steps(std::string_view message, size_t step) {
    MimeParser parser;
    for (size_t i = 0; i < message.size(); i += step) parser.feed(message.substr(i, step));
    return parser.finish();
}

std::string body_of(std::string_view message, const MessageInfo& info, size_t part) {
    const auto& range = info.parts.at(part).range;
    return std::string(message.substr(range.body_offset, range.end_offset - range.body_offset));
}

std::string header_of(std::string_view message, const MessageInfo& info, size_t part) {
    const auto& range = info.parts.at(part).range;
    return std::string(message.substr(range.header_offset, range.body_offset - range.header_offset));
}

// type/subtype of each part with its parent's index and its number.
std::string shape(const MessageInfo& info) {
    std::string out;
    for (const auto& part : info.parts) {
        if (!out.empty()) out += ' ';
        out += std::to_string(part.parent) + "." + std::to_string(part.number) + ":" + part.type + "/" + part.subtype;
    }
    return out;
}

std::string multipart(std::string_view body, std::string_view boundary = "b") {
    return "Content-Type: multipart/mixed; boundary=\"" + std::string(boundary) + "\"\r\n\r\n" + std::string(body);
}

}  // namespace

TEST_CASE("a plain message") {
    const std::string message = "From: a@b\r\nSubject: x\r\n\r\nline 1\r\nline 2\r\n";
    auto info = parse_message(message);
    REQUIRE(info.parts.size() == 1);
    const auto& part = info.parts[0];
    CHECK(part.type == "text");
    CHECK(part.subtype == "plain");
    CHECK(part.encoding == "7bit");
    CHECK(part.params == std::vector<Parameter>{{"charset", "us-ascii"}});
    CHECK(part.range == PartRange{0, 25, 41, 2});
    CHECK(part.envelope == 0u);
    CHECK(info.size == message.size());
    CHECK(info.envelopes.size() == 1);
    CHECK(info.envelopes[0].subject == "x");
    CHECK(info.envelopes[0].date == std::nullopt);
    CHECK_FALSE(info.has_bare_lf);
    CHECK_FALSE(info.has_8bit_body);
    CHECK_FALSE(info.truncated);
    CHECK(info.max_line_length == 10);
    CHECK(info.from_count == 1);
}

TEST_CASE("messages that are hardly any") {
    CHECK(parse_message("").parts.at(0).range == PartRange{0, 0, 0, 0});
    CHECK(parse_message("\r\n").parts.at(0).range == PartRange{0, 2, 2, 0});
    CHECK(parse_message("\r\nbody").parts.at(0).range == PartRange{0, 2, 6, 0});
    CHECK(parse_message("Subject: x").parts.at(0).range == PartRange{0, 10, 10, 0});
    CHECK(parse_message("Subject: x").envelopes.at(0).subject == "x");
    CHECK(parse_message("\n\n").has_bare_lf);
    CHECK(parse_message("a: b\n\nx\n").parts.at(0).range == PartRange{0, 6, 8, 1});
    CHECK(parse_message(std::string("a: b\r\n\r\n\0", 9)).has_nul);
    CHECK(parse_message("a: \xfc\r\n\r\n").has_8bit_header);
    CHECK_FALSE(parse_message("a: \xfc\r\n\r\n").has_8bit_body);
    CHECK(parse_message("a: b\r\n\r\n\xfc").has_8bit_body);
}

TEST_CASE("the fields of an envelope") {
    auto info = parse_message(
        "Received: by x\r\nReceived: by y\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nsubject:  =?utf-8?q?=C3=BC?=\r\n "
        "folded \r\n"
        "From: J <a@b>\r\nTo: c@d\r\nTO: e@f\r\nCc:\r\nIn-Reply-To: <p@q>\r\nMessage-ID: <m@n>\r\nSubject: second\r\n"
        "References: <r1@x> <r2@x>\r\nReferences: <r3@x>\r\nBcc : g@h\r\n\r\n");
    const auto& e = info.envelopes.at(0);
    CHECK(e.date == "Fri, 21 Nov 1997 09:55:06 -0600");
    CHECK(e.subject == "=?utf-8?q?=C3=BC?= folded");
    CHECK(e.from == std::vector<EnvelopeAddress>{{"J", {}, "a", "b"}});
    CHECK(e.to == std::vector<EnvelopeAddress>{{{}, {}, "c", "d"}, {{}, {}, "e", "f"}});
    CHECK(e.cc.empty());
    CHECK(e.bcc == std::vector<EnvelopeAddress>{{{}, {}, "g", "h"}});
    CHECK(e.in_reply_to == "<p@q>");
    CHECK(e.message_id == "<m@n>");
    CHECK(info.received_count == 2);
    CHECK(info.date == DateTime{880127706, -360});
    CHECK(info.references == std::vector<std::string>{"r1@x", "r2@x", "r3@x"});
}

TEST_CASE("the multipart example of RFC 2046 5.1.1") {
    auto info = parse_message(kSimpleMultipart);
    CHECK(shape(info) == "0.1:multipart/mixed 0.1:text/plain 0.2:text/plain");
    CHECK(body_of(kSimpleMultipart, info, 1) ==
          "This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.");
    CHECK(body_of(kSimpleMultipart, info, 2) ==
          "This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n");
    CHECK(info.parts[1].range.lines == 1);
    CHECK(info.parts[2].range.lines == 2);
    CHECK(header_of(kSimpleMultipart, info, 1) == "\r\n");
    CHECK(header_of(kSimpleMultipart, info, 2) == "Content-type: text/plain; charset=us-ascii\r\n\r\n");
    CHECK(info.parts[0].range.end_offset == kSimpleMultipart.size());
}

namespace {

/// Fields picked from the header, and from the listed fields of its parse.
void check_listed(const std::string& message) {
    MessageInfo info = parse_message(message);
    REQUIRE(info.listed_fields);
    std::string_view header = std::string_view(message).substr(0, info.parts[0].range.body_offset);
    const std::vector<std::string> all(std::begin(kListedFields), std::end(kListedFields));
    for (const auto& names : std::vector<std::vector<std::string>>{all, {"SUBJECT", "from", "Date"}, {}})
        CHECK(select_header_fields(*info.listed_fields, names, Select::listed) ==
              select_header_fields(header, names, Select::listed));
}

}  // namespace

TEST_CASE("the fields that clients list") {
    for (const std::string& message :
         {kSimpleMultipart, kComplex, kDirty, std::string(), std::string("\r\n"),
          std::string(" x\nSUBJECT : a\n\tb\nX-Other: y\nsubject: c\r\n\ntext"), std::string("To: one\r\nTo: two")})
        check_listed(message);
    CHECK(parse_message("X-A: 1\r\nTO: a\r\n b\r\nReceived: x\r\nDate: d\r\n\r\nFrom: body\r\n").listed_fields ==
          "TO: a\r\n b\r\nDate: d\r\n\r\n");
    std::string longest = "To: " + std::string(kMaxListed - 8, 'x') + "\r\n";
    CHECK(parse_message("X-A: " + longest + longest + "\r\n").listed_fields == longest + "\r\n");
    CHECK_FALSE(parse_message("Cc: c\r\n" + longest + "\r\n").listed_fields);
    CHECK_FALSE(parse_message(longest + "Cc: c\r\nDate: d\r\n\r\n").listed_fields);
}

TEST_CASE("a complex message") {
    auto info = parse_message(kComplex);
    CHECK(shape(info) ==
          "0.1:multipart/mixed 0.1:text/plain 0.2:application/octet-stream 0.3:message/rfc822 3.1:multipart/mixed "
          "4.1:text/plain 4.2:application/octet-stream 0.4:multipart/mixed 7.1:image/gif 7.2:message/rfc822 "
          "9.1:multipart/mixed 10.1:text/plain 10.2:multipart/alternative 12.1:text/plain 12.2:text/richtext");
    CHECK(body_of(kComplex, info, 5) == "inner text");
    CHECK(body_of(kComplex, info, 14) == "rich");
    CHECK(header_of(kComplex, info, 4).starts_with("Subject: embedded\r\n"));
    CHECK(info.parts[4].range.header_offset == info.parts[3].range.body_offset);
    CHECK(info.parts[4].range.end_offset == info.parts[3].range.end_offset);
    CHECK(info.envelopes.size() == 3);
    CHECK(info.envelopes[*info.parts[4].envelope].subject == "embedded");
    CHECK(info.parts[8].content_id == "<gif@x>");
    CHECK(info.parts[8].description == "a picture");
    CHECK(info.parts[8].encoding == "base64");
    CHECK(info.parts[8].md5 == "Q2hlY2sgSW50ZWdyaXR5IQ==");
    CHECK(info.parts[8].location == "http://x/y.gif");
    CHECK(info.parts[8].language == std::vector<std::string>{"en", "de"});
    CHECK(info.parts[8].disposition == Disposition{"inline", {{"filename", "y.gif"}}});
}

TEST_CASE("boundaries") {
    struct Row {
        std::string message, want_shape, want_last_body;
    };
    const std::vector<Row> rows = {
        // no closing delimiter
        {multipart("--b\r\n\r\none"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        {multipart("--b\r\n\r\none\r\n--b"), "0.1:multipart/mixed 0.1:text/plain 0.2:text/plain", ""},
        {multipart("--b\r\n\r\none\r\n--b--"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        // not delimiters
        {multipart("--b\r\n\r\none\r\n--bb\r\n--\r\n -–b\r\nx--b\r\n--c\r\n--b--\r\n"),
         "0.1:multipart/mixed 0.1:text/plain", "one\r\n--bb\r\n--\r\n -–b\r\nx--b\r\n--c"},
        // blanks after the delimiter, bare LF
        {multipart("--b \t\r\n\r\none\r\n--b-- \r\n--b\r\nepilogue"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        {multipart("--b\n\none\n--b--\n"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        // empty parts: the empty line belongs to the header
        {multipart("--b\r\n\r\n--b--\r\n"), "0.1:multipart/mixed 0.1:text/plain", ""},
        {multipart("--b\r\n--b--\r\n"), "0.1:multipart/mixed 0.1:text/plain", ""},
        {multipart("--b\r\nContent-Type: a/b\r\n--b--\r\n"), "0.1:multipart/mixed 0.1:a/b", ""},
        {multipart("--b\r\n\r\n\r\n--b--\r\n"), "0.1:multipart/mixed 0.1:text/plain", ""},
        {multipart("--b--\r\n"), "0.1:multipart/mixed", "--b--\r\n"},
        {multipart("nothing here"), "0.1:multipart/mixed", "nothing here"},
        // nested ones: one boundary the start of another, the outer ending the inner, the same one twice
        {multipart("--b\r\n" + multipart("--bb\r\n\r\none\r\n--bb--\r\n", "bb") + "\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
         "0.1:multipart/mixed 0.1:multipart/mixed 1.1:text/plain 0.2:text/plain", "two"},
        {multipart("--bb\r\n" + multipart("--b\r\n\r\none\r\n--b--\r\n", "b") + "\r\n--bb\r\n\r\ntwo\r\n--bb--\r\n",
                   "bb"),
         "0.1:multipart/mixed 0.1:multipart/mixed 1.1:text/plain 0.2:text/plain", "two"},
        {multipart("--b\r\n" + multipart("--c\r\n\r\none", "c") + "\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
         "0.1:multipart/mixed 0.1:multipart/mixed 1.1:text/plain 0.2:text/plain", "two"},
        {multipart("--b\r\n" + multipart("--b\r\n\r\none\r\n--b--\r\n", "b") + "--b\r\n\r\ntwo"),
         "0.1:multipart/mixed 0.1:multipart/mixed 1.1:text/plain 0.2:text/plain", "two"},
        {multipart("--b b\r\n\r\none\r\n--b b--\r\n", "b b"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        {multipart("--a:b\r\n\r\none\r\n--a:b--\r\n", "a:b"), "0.1:multipart/mixed 0.1:text/plain", "one"},
        // a delimiter in a header ends it
        {multipart("--b\r\nContent-Type: a/b\r\nX: y\r\n--b\r\n\r\ntwo"), "0.1:multipart/mixed 0.1:a/b 0.2:text/plain",
         "two"},
        // message parts
        {multipart("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n--b--\r\n"),
         "0.1:multipart/mixed 0.1:message/rfc822 1.1:text/plain", ""},
        {multipart("--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: "
                   "x\r\n\r\n--b--\r\n"),
         "0.1:multipart/mixed 0.1:message/rfc822", "Subject: x\r\n"},
        {"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nhi", "0.1:message/rfc822 0.1:text/plain", "hi"},
        {"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nhi\r\n--b\r\nContent-Type: "
         "a/b\r\n\r\nx",
         "0.1:multipart/digest 0.1:message/rfc822 1.1:text/plain 0.2:a/b", "x"},
        // broken types
        {"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx", "0.1:application/octet-stream", "--b\r\n\r\nx"},
        {"Content-Type: what?\r\n\r\nx", "0.1:application/octet-stream", "x"},
        {multipart("--b\r\nContent-Type: what?\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"),
         "0.1:multipart/mixed 0.1:application/octet-stream 0.2:text/plain", "two"},
    };
    for (const auto& row : rows) {
        INFO(row.message);
        auto info = parse_message(row.message);
        CHECK(shape(info) == row.want_shape);
        CHECK(body_of(row.message, info, info.parts.size() - 1) == row.want_last_body);
        CHECK_FALSE(info.truncated);
        CHECK(broken_invariant(info) == "");
        for (size_t step : {1, 2, 3, 7}) CHECK(parse_steps(row.message, step) == info);
    }
}

TEST_CASE("an empty embedded message keeps its empty line") {
    auto message = multipart("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n--b--\r\n");
    auto info = parse_message(message);
    CHECK(header_of(message, info, 2) == "Subject: x\r\n\r\n");
    CHECK(body_of(message, info, 1) == "Subject: x\r\n\r\n");
    CHECK(info.parts[1].range.lines == 2);
    CHECK(info.parts[2].range.lines == 0);
}

TEST_CASE("the split of the bytes does not matter") {
    std::mt19937 random(7);
    for (std::string_view message :
         {std::string_view(kSimpleMultipart), std::string_view(kComplex), std::string_view(kDirty)}) {
        auto whole = parse_message(message);
        CHECK(broken_invariant(whole) == "");
        CHECK(parse_steps(message, 1) == whole);
        for (int round = 0; round < 200; ++round) {
            MimeParser parser;
            for (size_t pos = 0; pos < message.size();) {
                auto step = random() % 4 == 0 ? random() % 200 : random() % 4;
                parser.feed(message.substr(pos, step));
                pos += step;
            }
            REQUIRE(parser.finish() == whole);
        }
    }
}

TEST_CASE("messages made of random pieces hold the invariants") {
    const std::vector<std::string> pieces = {"\r\n",
                                             "\n",
                                             "\r",
                                             "--b",
                                             "--bb",
                                             "--b--",
                                             "--",
                                             "-",
                                             " ",
                                             "\t",
                                             "a",
                                             "\r\n--b\r\n",
                                             "\r\n--bb\r\n\r\n",
                                             "\r\n--b--\r\n",
                                             "Content-Type: multipart/mixed; boundary=b\r\n",
                                             "Content-Type: multipart/digest; boundary=bb\r\n\r\n",
                                             "Content-Type: message/rfc822\r\n\r\n",
                                             "Subject: x\r\n",
                                             "From: a@b, c\r\n",
                                             "\xff",
                                             std::string(1, '\0')};
    std::mt19937 random(11);
    for (int round = 0; round < 3000; ++round) {
        std::string message = random() % 2 == 0 ? pieces[14] + "\r\n" : "";
        for (auto n = random() % 40; n > 0; --n) message += pieces[random() % pieces.size()];
        auto info = parse_message(message);
        INFO(message);
        REQUIRE(info.size == message.size());
        REQUIRE(broken_invariant(info) == "");
        REQUIRE(parse_steps(message, 1) == info);
        REQUIRE(parse_steps(message, 3) == info);
    }
}

TEST_CASE("lines are counted as line ends in the body") {
    auto info = parse_message(kComplex);
    for (size_t i = 0; i < info.parts.size(); ++i) {
        auto body = body_of(kComplex, info, i);
        CHECK(info.parts[i].range.lines == static_cast<uint64_t>(std::count(body.begin(), body.end(), '\n')));
    }
}

TEST_CASE("limits make opaque parts, not errors") {
    SECTION("depth") {
        std::string message;
        for (int i = 0; i < 100; ++i) {
            auto b = "x" + std::to_string(i) + "x";
            message += "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n";
        }
        auto info = parse_message(message + "\r\nend");
        CHECK(info.truncated);
        CHECK(info.parts.size() == 32);
        CHECK(info.parts.back().truncated);
        CHECK(broken_invariant(info) == "");
    }
    SECTION("depth of messages") {
        std::string message;
        for (int i = 0; i < 100; ++i) message += "Content-Type: message/rfc822\r\n\r\n";
        auto info = parse_message(message);
        CHECK(info.parts.size() == 32);
        CHECK(info.truncated);
    }
    SECTION("parts") {
        std::string body;
        for (int i = 0; i < 2000; ++i) body += "--b\r\n\r\nx\r\n";
        auto message = multipart(body + "--b--\r\n");
        auto info = parse_message(message);
        CHECK(info.parts.size() == 1000);
        CHECK(info.truncated);
        CHECK(info.parts[0].truncated);
        CHECK_FALSE(info.parts[5].truncated);
        CHECK(body_of(message, info, 999) == "x");
        CHECK(info.parts[0].range.end_offset == message.size());
    }
    SECTION("one endless field") {
        auto info = parse_message("Subject: " + std::string(1000000, 'x') + "\r\nTo: a@b\r\n\r\nbody");
        CHECK(info.truncated);
        CHECK(info.envelopes[0].subject->size() <= 128 * 1024);
        CHECK(info.envelopes[0].to.size() == 1);
        CHECK(info.parts[0].range.end_offset - info.parts[0].range.body_offset == 4);
    }
    SECTION("many headers") {
        std::string body;
        for (int i = 0; i < 900; ++i) body += "--b\r\nContent-Description: " + std::string(1000, 'x') + "\r\n\r\n";
        auto info = parse_message(multipart(body));
        CHECK(info.parts.size() == 901);
        CHECK(info.truncated);
        size_t kept = 0;
        for (const auto& part : info.parts) kept += part.description.value_or("").size();
        CHECK(kept <= 256 * 1024);
        CHECK(kept > 200 * 1024);
    }
    SECTION("addresses") {
        std::string list = "To: ";
        for (int i = 0; i < 10000; ++i) list += "a@b,";
        auto info = parse_message(list + "\r\n\r\n");
        CHECK(info.envelopes[0].to.size() == 4096);
        CHECK(info.truncated);
    }
    SECTION("a boundary too long is none") {
        CHECK(shape(parse_message(multipart("x", std::string(201, 'b')))) == "0.1:application/octet-stream");
        CHECK(shape(parse_message(multipart("--" + std::string(200, 'b') + "\r\n", std::string(200, 'b')))) ==
              "0.1:multipart/mixed 0.1:text/plain");
    }
}
