// Mailboxes, paths and domains (common/mail/address.h) and address lists of headers (address_list.h).
#include <string>
#include <vector>

#include "common/mail/address.h"
#include "common/mail/address_list.h"
#include "tests/unit/catch.h"

using namespace mox::mail;
using mox::Result;

TEST_CASE("addresses that are valid") {
    struct Row {
        std::string text, localpart, domain, again;
    };
    const std::vector<Row> rows = {
        {"a@b", "a", "b", "a@b"},
        {"Joe.Blow@Example.ORG", "Joe.Blow", "example.org", "Joe.Blow@example.org"},
        {"\"joe blow\"@example.org", "joe blow", "example.org", "\"joe blow\"@example.org"},
        {"\"joe\"@example.org", "joe", "example.org", "joe@example.org"},
        {R"("a\"b\\c"@example.org)", "a\"b\\c", "example.org", R"("a\"b\\c"@example.org)"},
        {R"("\a"@example.org)", "a", "example.org", "a@example.org"},
        {"\"\"@example.org", "", "example.org", "\"\"@example.org"},
        {"\"a..b\"@example.org", "a..b", "example.org", "\"a..b\"@example.org"},
        {"\"a@b\"@example.org", "a@b", "example.org", "\"a@b\"@example.org"},
        {"a+b=c/d!#$%&'*-?^_`{|}~@example.org", "a+b=c/d!#$%&'*-?^_`{|}~", "example.org",
         "a+b=c/d!#$%&'*-?^_`{|}~@example.org"},
        {"x@[192.0.2.1]", "x", "[192.0.2.1]", "x@[192.0.2.1]"},
        {"x@[ipv6:2001:DB8::1]", "x", "[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"},
        {"x@under_score.example", "x", "under_score.example", "x@under_score.example"},
        {"x@xn--bcher-kva.example", "x", "xn--bcher-kva.example", "x@xn--bcher-kva.example"},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        auto address = parse_address(row.text, Utf8::forbidden);
        REQUIRE(address);
        CHECK(address->localpart == row.localpart);
        CHECK(address->domain == row.domain);
        CHECK(to_string(*address) == row.again);
        auto second = parse_address(to_string(*address), Utf8::forbidden);
        REQUIRE(second);
        CHECK(*second == *address);
    }
}

TEST_CASE("addresses that are not valid") {
    const std::vector<std::string> rows = {"",
                                           "a",
                                           "@",
                                           "a@",
                                           "@b",
                                           "a b@c",
                                           ".a@b",
                                           "a.@b",
                                           "a..b@c",
                                           "a@b.",
                                           "a@.b",
                                           "a@b..c",
                                           "a@-b",
                                           "a@b-",
                                           "a@b c",
                                           "a@b ",
                                           " a@b",
                                           "\"a@b",
                                           "\"a\"b@c",
                                           "a\"b\"@c",
                                           "\"a\nb\"@c",
                                           "\"a\rb\"@c",
                                           "a@[1.2.3]",
                                           "a@[1.2.3.4",
                                           "a@[IPv6:1.2.3.4]",
                                           "a@[2001:db8::1]",
                                           "a@[tag:x]",
                                           "a@b>",
                                           "a,b@c",
                                           "a@b@c",
                                           std::string("a\0@b", 4),
                                           "a@" + std::string(64, 'x') + ".org",
                                           std::string(129, 'a') + "@b",
                                           "\x80@b",
                                           "a@b\x80.org"};
    for (const auto& row : rows) {
        INFO(row);
        auto plain = parse_address(row, Utf8::forbidden);
        CHECK_FALSE(plain);
        if (!plain) CHECK(plain.error().persistence == mox::Persistence::permanent);
        CHECK_FALSE(parse_address(row, Utf8::allowed));
    }
}

TEST_CASE("length limits of addresses") {
    CHECK(parse_address(std::string(64, 'a') + "@b", Utf8::forbidden));
    CHECK(parse_address(std::string(128, 'a') + "@b", Utf8::forbidden));
    auto label = std::string(63, 'x');
    auto domain = label + "." + label + "." + label + "." + std::string(57, 'y');  // 249
    CHECK(parse_address("abcd@" + domain, Utf8::forbidden));                       // 254 and two brackets
    CHECK_FALSE(parse_address("abcde@" + domain, Utf8::forbidden));                // RFC 5321 4.5.3.1.3
    CHECK(parse_domain(label + "." + label + "." + label + "." + std::string(61, 'y'), Utf8::forbidden));
    CHECK_FALSE(parse_domain(label + "." + label + "." + label + "." + std::string(62, 'y'), Utf8::forbidden));
}

TEST_CASE("addresses in UTF-8") {
    CHECK_FALSE(parse_address("jürgen@example.org", Utf8::forbidden));
    CHECK_FALSE(parse_address("j@bücher.example", Utf8::forbidden));
    auto address = parse_address("Jürgen@BÜCHER.example", Utf8::allowed);
    REQUIRE(address);
    CHECK(address->localpart == "Jürgen");
    CHECK(address->domain == "bücher.example");
    CHECK_FALSE(is_ascii(*address));
    CHECK(parse_address(to_string(*address), Utf8::allowed).value() == *address);
    CHECK(parse_address("\"jür gen\"@example.org", Utf8::allowed).value().localpart == "jür gen");
    CHECK(domain_to_ascii("Bücher.Example").value() == "xn--bcher-kva.example");
    CHECK(domain_to_ascii("faß.de").value() == "xn--fa-hia.de");  // RFC 5891: not transitional
    CHECK(domain_to_ascii("EXAMPLE.org").value() == "example.org");
    CHECK(domain_to_unicode("XN--BCHER-KVA.example").value() == "bücher.example");
    CHECK(domain_to_unicode("[192.0.2.1]").value() == "[192.0.2.1]");
    CHECK_FALSE(domain_to_ascii("a\xff.example"));
    CHECK_FALSE(domain_to_ascii(""));
    CHECK_FALSE(domain_to_ascii("a..b"));
    CHECK_FALSE(domain_to_ascii(std::string("a\0b", 3)));
    CHECK_FALSE(domain_to_ascii("ü-.example"));
    CHECK(same_domain("bücher.example", "XN--bcher-kva.EXAMPLE"));
    CHECK_FALSE(same_domain("bücher.example", "bucher.example"));
    CHECK(same_address({"a", "bücher.example"}, {"a", "xn--bcher-kva.example"}));
    CHECK_FALSE(same_address({"a", "b.c"}, {"A", "b.c"}));
    CHECK(same_address_ignoring_case({"a", "b.c"}, {"A", "B.C"}));
    CHECK_FALSE(same_address_ignoring_case({"a", "b.c"}, {"b", "b.c"}));
}

TEST_CASE("paths") {
    auto path = [](std::string_view text) { return parse_path(text, Utf8::forbidden); };
    CHECK(path("<>").value().kind == PathKind::null);
    CHECK(to_string(path("<>").value()) == "<>");
    CHECK(path("<PostMaster>").value().kind == PathKind::postmaster);
    CHECK(to_string(path("<PostMaster>").value()) == "<PostMaster>");
    CHECK(path("<postmaster@a.b>").value().kind == PathKind::mailbox);
    CHECK(path("<a@b>").value() == Path{PathKind::mailbox, {"a", "b"}});
    CHECK(path("<@one,@two.example:a@b>").value().address == Address{"a", "b"});  // RFC 5321 appendix C
    CHECK(path("<\"a>b\"@c>").value().address == Address{"a>b", "c"});
    CHECK(to_string(path("<\"a>b\"@c>").value()) == "<\"a>b\"@c>");
    for (auto bad : {"", "<", ">", "a@b", "<a@b", "a@b>", "< >", "<a>", "<a@b> ", "<@one>", "<@one:>", "<@:a@b>",
                     "<<a@b>>", "<postmaster", "<postmasters>", "<a@b>x"}) {
        INFO(bad);
        CHECK_FALSE(path(bad));
    }
    std::string_view text = "<a@b> SIZE=100";
    CHECK(take_path(text, Utf8::forbidden).value().address == Address{"a", "b"});
    CHECK(text == " SIZE=100");
    std::string route = "<";
    for (int i = 0; i < 30; ++i) route += "@h" + std::to_string(i) + ",";
    route.back() = ':';
    CHECK_FALSE(path(route + "a@b>"));
}

namespace {

// A list in short: name|adl|mailbox|host, - for nothing, entries separated by spaces and commas.
std::string flat(const std::vector<EnvelopeAddress>& list) {
    std::string out;
    for (const auto& e : list) {
        if (!out.empty()) out += ", ";
        out += e.name.value_or("-") + "|" + e.adl.value_or("-") + "|" + e.mailbox.value_or("-") + "|" +
               e.host.value_or("-");
    }
    return out;
}

}  // namespace

TEST_CASE("address lists") {
    struct Row {
        std::string value, want;
    };
    const std::vector<Row> rows = {
        {"", ""},
        {" , ,", ""},
        {"a@b", "-|-|a|b"},
        {"a@b, c@D.E", "-|-|a|b, -|-|c|D.E"},
        {"Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com"},
        {"\"Joe \\\"Q\\\" P\" <a@b>", "Joe \"Q\" P|-|a|b"},
        {"=?utf-8?Q?J=C3=BCrgen?= <a@b>", "=?utf-8?Q?J=C3=BCrgen?=|-|a|b"},
        {"Jürgen <a@b>", "Jürgen|-|a|b"},
        {"<a@b>", "-|-|a|b"},
        {"a@b (Full Name)", "Full Name|-|a|b"},
        {"<a@b> (Full (nested) Name)", "Full (nested) Name|-|a|b"},
        {"(c) Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test"},
        {"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
         "-|-|A Group|-, Ed Jones|-|joe|where.test, -|-|joe|where.test, John|-|jdoe|one.test, -|-|-|-"},
        {"Undisclosed recipients:;", "-|-|Undisclosed recipients|-, -|-|-|-"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "-|-|Hidden recipients|-, -|-|-|-"},
        {"g: a@b", "-|-|g|-, -|-|a|b, -|-|-|-"},
        {"g:a@b;, c@d", "-|-|g|-, -|-|a|b, -|-|-|-, -|-|c|d"},
        {"Mary Smith\r\n <@node.test,@two.test:mary@example.net>, , jdoe@test  . example",
         "Mary Smith|@node.test,@two.test|mary|example.net, -|-|jdoe|test.example"},
        {"John . Doe @ example.org", "-|-|John.Doe|example.org"},
        {"\"a b\"@c", "-|-|a b|c"},
        {"x@[192.0.2.1]", "-|-|x|[192.0.2.1]"},
        {"nobody", "-|-|nobody|"},
        {"a@b, @@@, <<<, c@d", "-|-|a|b, -|-||, -|-|c|d"},
        {"<>, c@d", "-|-|c|d"},
        {"a@b c@d, e@f", "-|-|a|b, -|-|e|f"},
        {"Name <a@b, c@d", "Name|-|a|b, -|-|c|d"},
        {"\"unfinished <a@b>", "-|-|unfinished <a@b>|"},
    };
    for (const auto& row : rows) {
        INFO(row.value);
        CHECK(flat(parse_address_list(row.value)) == row.want);
    }
}

TEST_CASE("address lists are bounded") {
    std::string value;
    for (int i = 0; i < 100; ++i) value += "a@b,";
    bool truncated = false;
    CHECK(parse_address_list(value, 100, &truncated).size() == 100);
    CHECK_FALSE(truncated);
    CHECK(parse_address_list(value, 10, &truncated).size() == 10);
    CHECK(truncated);
    CHECK(flat(parse_address_list("a@b, g: c@d, e@f;", 4)) == "-|-|a|b, -|-|g|-, -|-|c|d, -|-|-|-");
    CHECK(flat(parse_address_list("a@b, g: c@d, e@f;", 2)) == "-|-|a|b");  // no group without its end
    CHECK(parse_address_list(std::string(100000, '('), 10).empty());
}

TEST_CASE("list entries as addresses") {
    CHECK(to_address(parse_address_list("J <A@B.C>").at(0)) == Address{"A", "b.c"});
    CHECK_FALSE(to_address(parse_address_list("g:;").at(0)));
    CHECK_FALSE(to_address(parse_address_list("g:;").at(1)));
    CHECK_FALSE(to_address(parse_address_list("nobody").at(0)));
    CHECK_FALSE(to_address(EnvelopeAddress{{}, {}, "a\nb", "c"}));
}
