// Header blocks, dates and message ids (common/mail/header.h, date.h, message_id.h).
#include <string>
#include <vector>

#include "common/mail/date.h"
#include "common/mail/header.h"
#include "common/mail/message_id.h"
#include "tests/unit/catch.h"

using namespace mox::mail;

TEST_CASE("fields of a header block") {
    const std::string block =
        "From a line of mbox\r\nSubject : one\r\n two\r\nX-Empty:\nX-Lf: a\n\tb\r\n\r\nbody: no\r\n";
    HeaderReader reader(block);
    std::vector<std::string> names, values;
    size_t position = 0;
    while (auto field = reader.next()) {
        CHECK(field->begin == position);  // every byte belongs to one field
        position = field->end;
        names.emplace_back(field->name);
        values.emplace_back(field->value);
    }
    CHECK(names == std::vector<std::string>{"", "Subject", "X-Empty", "X-Lf"});
    CHECK(values == std::vector<std::string>{"From a line of mbox", " one\r\n two", "", " a\n\tb"});
    CHECK(block.substr(reader.position()) == "\r\nbody: no\r\n");
    CHECK(find_header_end(block) == reader.position() + 2);
    CHECK(find_field(block, "SUBJECT")->value == " one\r\n two");
    CHECK_FALSE(find_field(block, "body"));
}

TEST_CASE("ends of headers") {
    CHECK(find_header_end("") == std::nullopt);
    CHECK(find_header_end("\r\n") == 2u);
    CHECK(find_header_end("\nx") == 1u);
    CHECK(find_header_end("a: b\r\n") == std::nullopt);
    CHECK(find_header_end("a: b\r\n\r") == std::nullopt);
    CHECK(find_header_end("a: b\r\n \r\n") == std::nullopt);
    CHECK(find_header_end("a: b\n\nc") == 6u);
    CHECK_FALSE(HeaderReader("").next());
}

TEST_CASE("unfolding") {
    CHECK(unfold(" a\r\n b") == "a b");
    CHECK(unfold("a\n\tb\r\n  c\r\n") == "a\tb  c");
    CHECK(unfold("a\r\nb") == "a b");
    CHECK(unfold("a\rb") == "a b");
    CHECK(unfold(std::string_view("a\0b", 3)) == "a b");
    CHECK(unfold(" \r\n ") == "");
}

TEST_CASE("dates of mail") {
    struct Row {
        std::string text;
        int64_t seconds;
        int zone;
    };
    const std::vector<Row> rows = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},  // RFC 5322 A.1.1
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},   // A.1.2
        {"Thu, 13 Feb 1969 23:32:54 -0330", -27723426, -210},  // A.2
        {"Thu,\r\n 13\r\n   Feb\r\n     1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480, -210},  // A.5
        {"21 Nov 97 09:55:06 GMT", 880106106, 0},                                                         // A.6.2
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360},                             // A.6.3
        {"Fri, 21 Nov 1997 09:55:06 EST", 880124106, -300},
        {"Fri, 21 Nov 1997 09:55:06 PDT", 880131306, -420},
        {"Fri, 21 Nov 1997 09:55:06 Z", 880106106, 0},
        {"Fri, 21 Nov 1997 09:55:06", 880106106, 0},
        {"Fri, 21 Nov 1997 09:55 UT", 880106100, 0},
        {"Fri 21-Nov-1997 09:55:06 +0000", 880106106, 0},
        {"Friday, 21 November 1997 09:55:06 +00:30", 880104306, 30},
        {"1 Jan 49 00:00:00 +0000", 2493072000, 0},
        {"1 Jan 50 00:00:00 +0000", -631152000, 0},
        {"1 Jan 102 00:00:00 +0000", 1009843200, 0},
        {"29 Feb 2000 00:00:00 +0000", 951782400, 0},
        {"31 Dec 2016 23:59:60 +0000", 1483228800, 0},
        {"Mon Jan  2 15:04:05 2006", 1136214245, 0},
        {"Mon Jan  2 15:04:05 MST 2006", 1136239445, -420},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        auto time = parse_date(row.text);
        REQUIRE(time);
        CHECK(time->unix_seconds == row.seconds);
        CHECK(time->zone_minutes == row.zone);
    }
    for (auto bad :
         {"", "today", "Fri,", "29 Feb 1999 00:00:00 +0000", "32 Jan 2000 00:00:00 +0000", "1 Foo 2000 00:00:00 +0000",
          "1 Jan 2000", "1 Jan 2000 24:00:00 +0000", "1 Jan 2000 00:60 +0000", "1 Jan 20000 00:00:00 +0000",
          "1 Jan 0000 00:00:00 +0000", "(((", "99999999999999999999 Jan 2000"}) {
        INFO(bad);
        CHECK_FALSE(parse_date(bad));
    }
}

TEST_CASE("dates are written so that they read the same") {
    CHECK(format_date({880127706, -360}) == "Fri, 21 Nov 1997 09:55:06 -0600");
    CHECK(format_date({1057049557, 120}) == "Tue, 1 Jul 2003 10:52:37 +0200");
    CHECK(format_date({0, -30}) == "Wed, 31 Dec 1969 23:30:00 -0030");
    CHECK(format_internal_date({837596665, -420}) == "17-Jul-1996 02:44:25 -0700");
    CHECK(format_internal_date({1057049557, 120}) == " 1-Jul-2003 10:52:37 +0200");
    for (int64_t seconds :
         {int64_t{-62135596800}, int64_t{-1}, int64_t{0}, int64_t{951827696}, int64_t{253402300799}}) {
        CHECK(parse_date(format_date({seconds, 0})) == DateTime{seconds, 0});
        CHECK(parse_internal_date(format_internal_date({seconds, 0})) == DateTime{seconds, 0});
    }
    CHECK(format_date({INT64_MAX, 0}) == "Fri, 31 Dec 9999 23:59:59 +0000");
    CHECK(format_date({INT64_MIN, -720}) == "Mon, 1 Jan 0001 00:00:00 -1200");
}

TEST_CASE("dates of IMAP") {
    CHECK(parse_internal_date("17-Jul-1996 02:44:25 -0700") == DateTime{837596665, -420});
    CHECK(parse_internal_date(" 7-jul-1996 02:44:25 +0000") == DateTime{836707465, 0});
    for (auto bad : {"7-Jul-1996 02:44:25 -0700", "17-Jul-1996 02:44:25 -070", "17-Jul-1996 02:44:25 07000",
                     "17 Jul 1996 02:44:25 -0700", "31-Feb-1996 02:44:25 -0700", "17-Jul-1996 25:44:25 -0700",
                     "17-Jul-1996 02:44:25 -0799", "17-Xyz-1996 02:44:25 -0700", ""}) {
        INFO(bad);
        CHECK_FALSE(parse_internal_date(bad));
    }
    CHECK(parse_imap_date("1-Feb-1994") == Date{1994, 2, 1});
    CHECK(parse_imap_date("01-feb-1994") == Date{1994, 2, 1});
    for (auto bad : {"", "1-Feb-94", "1-February-1994", "30-Feb-1994", "1 Feb 1994", "1-Feb-1994 ", "001-Feb-1994"}) {
        INFO(bad);
        CHECK_FALSE(parse_imap_date(bad));
    }
    CHECK(day_of({880127706, -360}) == Date{1997, 11, 21});
    CHECK(day_of({880163999, -360}) == Date{1997, 11, 21});  // 23:59:59-06 wall would be later in UTC
    CHECK(day_of({880156800, 0}) == Date{1997, 11, 22});
    CHECK(day_of({880156800, -60}) == Date{1997, 11, 21});
    CHECK(unix_seconds(Date{1994, 2, 1}) == 760060800);
    CHECK(Date{1994, 2, 1} < Date{1994, 3, 1});
}

TEST_CASE("message ids") {
    using Ids = std::vector<std::string>;
    CHECK(parse_message_ids("") == Ids{});
    CHECK(parse_message_ids("<a@b>") == Ids{"a@b"});
    CHECK(parse_message_ids(" <a@b>\r\n\t<c@d> ") == Ids{"a@b", "c@d"});
    CHECK(parse_message_ids("Your message of Monday <a@b> <c \r\n d>") == Ids{"a@b", "cd"});
    CHECK(parse_message_ids("<unfinished <a@b> <c@d") == Ids{"a@b"});
    CHECK(parse_message_ids("<> <a>") == Ids{"a"});
    CHECK(parse_message_ids("<a><b><c>", 2) == Ids{"b", "c"});
    CHECK(parse_message_ids("<a>> <b>") == Ids{"a", "b"});
}
