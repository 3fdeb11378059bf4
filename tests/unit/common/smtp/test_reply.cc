#include "common/smtp/outcome.h"
#include "common/smtp/reply.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::smtp;

namespace {

/// Feeds all lines; the reply when the last line completed it, and no line before.
std::optional<Reply> parse(const std::vector<std::string>& lines) {
    ReplyParser parser;
    for (size_t i = 0; i < lines.size(); i++) {
        auto state = parser.feed(lines[i]);
        if (!state) return std::nullopt;
        if ((*state == ReplyParser::State::complete) != (i + 1 == lines.size())) return std::nullopt;
    }
    return parser.take();
}

}  // namespace

TEST_CASE("replies of one line and of several") {
    auto one = parse({"250 2.1.5 ok"});
    REQUIRE(one);
    CHECK(one->code == 250);
    CHECK(one->enhanced == "2.1.5");
    CHECK(to_string(*one) == "250 2.1.5 ok");

    auto several = parse({"550-5.7.1 first", "550-5.7.1 second", "550 5.7.1 third"});
    REQUIRE(several);
    CHECK(several->lines.size() == 3);
    CHECK(to_string(*several) == "550 5.7.1 first second third");

    CHECK(parse({"354"}));
    CHECK(parse({"250-", "250 "}));
    CHECK(parse({"250-a", "250"}));
}

TEST_CASE("what is no reply is refused") {
    for (const char* line :
         {"", "25", "2500 x", "abc", "150 x", "650 x", "099 x", "250_x", "250\tx", " 250 x", "-250 x"}) {
        CAPTURE(line);
        CHECK_FALSE(parse({line}));
    }
    CHECK_FALSE(parse({"250-a", "251 b"}));  // RFC 5321 4.2.1
}

TEST_CASE("replies are bounded") {
    CHECK_FALSE(parse({"250 " + std::string(kMaxReplyLine, 'x')}));
    std::vector<std::string> lines(kMaxReplyLines, "250-x");
    lines.back() = "250 x";
    CHECK(parse(lines));
    lines.insert(lines.begin(), "250-x");
    CHECK_FALSE(parse(lines));
    std::vector<std::string> big(40, "250-" + std::string(1000, 'x'));
    big.push_back("250 end");
    CHECK_FALSE(parse(big));
}

TEST_CASE("control characters do not reach logs and notices") {
    CHECK(to_string(*parse({"550 a\rb\x1b[31m\tc"})) == "550 a b [31m c");
}

TEST_CASE("enhanced codes") {
    struct Case {
        std::string_view text;
        uint16_t code;
        std::string_view expected;
    };
    for (const Case& c :
         {Case{"5.1.1 no", 550, "5.1.1"}, Case{"5.1.1", 550, "5.1.1"}, Case{"5.7.509 no", 550, "5.7.509"},
          Case{"4.1.1 no", 550, ""}, Case{"5.1 no", 550, ""}, Case{"5.1.1234 no", 550, ""}, Case{"", 550, ""},
          Case{"5.1.1no", 550, ""}, Case{"5..1 no", 550, ""}, Case{"2.0.0 ok", 250, "2.0.0"}}) {
        CAPTURE(c.text);
        CHECK(enhanced_code(c.text, c.code) == c.expected);
    }
}

TEST_CASE("what EHLO announces") {
    auto e =
        parse_extensions(*parse({"250-PIPELINING", "250-pipelining", "250-SIZE 5000", "250-8BITMIME", "250-starttls",
                                 "250-AUTH plain LOGIN", "250-LIMITS MAILMAX=5 RCPTMAX=20", "250 SMTPUTF8"}));
    CHECK(e.pipelining);
    CHECK(e.max_size == 5000);
    CHECK(e.eight_bit_mime);
    CHECK(e.starttls);
    CHECK(e.smtputf8);
    CHECK(e.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN"});
    CHECK(e.max_recipients == 20);

    auto none = parse_extensions(*parse({"250 STARTTLS"}));  // the greeting line announces nothing
    CHECK_FALSE(none.starttls);
    for (const char* line : {"250 SIZE", "250 SIZE 0", "250 SIZE x"}) {
        auto size = parse_extensions(*parse({"250-fake", line}));
        CHECK(size.size);
        CHECK_FALSE(size.max_size);
    }
}

TEST_CASE("what a reply means") {
    struct Case {
        const char* line;
        Verdict verdict;
        const char* enhanced;
    };
    for (const Case& c :
         {Case{"250 ok", Verdict::delivered, "2.0.0"}, Case{"251 2.1.5 will forward", Verdict::delivered, "2.1.5"},
          Case{"252 maybe", Verdict::delivered, "2.0.0"}, Case{"450 4.2.1 later", Verdict::temporary, "4.2.1"},
          Case{"550 no", Verdict::permanent, "5.0.0"}, Case{"354 what", Verdict::temporary, "4.5.1"}}) {
        CAPTURE(c.line);
        auto outcome = from_reply(*parse({c.line}), Scope::message);
        CHECK(outcome.verdict == c.verdict);
        CHECK(outcome.enhanced == c.enhanced);
    }
    CHECK(from_reply(*parse({"450 x"}), Scope::message).scope == Scope::host);
    CHECK(from_reply(*parse({"550 x"}), Scope::message).scope == Scope::message);
    CHECK(from_reply(*parse({"554 x"}), Scope::host).scope == Scope::host);
}
