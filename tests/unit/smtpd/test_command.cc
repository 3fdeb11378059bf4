#include "smtpd/command.h"
#include "smtpd/received.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::smtpd;

TEST_CASE("command lines") {
    CHECK(parse_command("mail FROM:<a@b>")->verb == "MAIL");
    CHECK(parse_command("mail FROM:<a@b>")->arguments == "FROM:<a@b>");
    CHECK(parse_command("NOOP")->arguments.empty());
    CHECK(parse_command("NOOP   x ")->arguments == "x");
    for (std::string_view bad : {"", " NOOP", "\x16\x03\x01", "NO\nOP", "NO\rOP", "a-b", "NOOP\tx\x7f\x01"})
        CHECK_FALSE(parse_command(bad));
}

TEST_CASE("MAIL and RCPT arguments") {
    auto ok = parse_path_command("FROM:<a@b.test> SIZE=10 BODY=8BITMIME", "FROM");
    REQUIRE(ok);
    CHECK(ok->path.address.localpart == "a");
    REQUIRE(ok->parameters.size() == 2);
    CHECK(ok->parameters[0].keyword == "SIZE");
    CHECK(parse_path_command("from: <>", "FROM")->path.kind == mail::PathKind::null);
    for (std::string_view bad : {"", "FROM", "FROM:", "FROM:a@b", "FROM:<a@b", "TO:<a@b.test>", "FROM:<a@b.test>SIZE=1",
                                 "FROM:<a@b.test> SIZE=1 size=2", "FROM:<a@b.test> =1", "FROM:<a@b.test> -X"})
        CHECK_FALSE(parse_path_command(bad, "FROM"));
}

TEST_CASE("parameters of MAIL") {
    auto check = [](std::string_view text) {
        return check_mail_parameters(parse_path_command(text, "FROM")->parameters);
    };
    CHECK(check("FROM:<> SIZE=123")->size == 123);
    CHECK(check("FROM:<> SIZE=99999999999999999999")->size == UINT64_MAX);
    CHECK(check("FROM:<> SMTPUTF8 BODY=8bitmime")->body_8bit);
    CHECK(check("FROM:<> SIZE=x").error().code == 501);
    CHECK(check("FROM:<> SIZE=111111111111111111111").error().code == 501);
    CHECK(check("FROM:<> BODY=9BIT").error().code == 501);
    CHECK(check("FROM:<> SMTPUTF8=1").error().code == 501);
    CHECK(check("FROM:<> RET=HDRS").error().code == 555);
}

TEST_CASE("what may follow EHLO") {
    for (std::string_view good :
         {"client.example", "localhost", "[127.0.0.1]", "[IPv6:2001:db8::1]", "a_b.example", "b\xc3\xbc.example"})
        CHECK(is_valid_hello(good));
    for (std::string_view bad : {"", "[", "[]", "[x] by trusted.example", "a b", "a(b)", "b\xfc.example", "a;b"})
        CHECK_FALSE(is_valid_hello(bad));
}

TEST_CASE("the protocol in Received") {
    CHECK(with_protocol(Extended::no, Encrypted::no, Authenticated::no, Internationalized::no) == "SMTP");
    CHECK(with_protocol(Extended::yes, Encrypted::yes, Authenticated::no, Internationalized::no) == "ESMTPS");
    CHECK(with_protocol(Extended::yes, Encrypted::yes, Authenticated::yes, Internationalized::no) == "ESMTPSA");
    CHECK(with_protocol(Extended::yes, Encrypted::no, Authenticated::no, Internationalized::yes) == "UTF8SMTP");
}
