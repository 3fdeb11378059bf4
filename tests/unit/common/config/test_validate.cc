#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox::config;

namespace {

std::string config_faults(const std::string& text) {
    auto config = parse_config("hostname h.example; postmaster account p\n" + text, "m");
    return config ? lines(validate(*config)) : "does not parse: " + lines(config.error());
}

std::string domains_faults(const std::string& text) {
    auto domains = parse_domains(text, "d");
    return domains ? lines(validate(*domains)) : "does not parse: " + lines(domains.error());
}

}  // namespace

TEST_CASE("listeners that cannot work are refused") {
    struct Row {
        std::string text, faults;
    };
    const Row rows[] = {
        {"listen a { address ::1; tls self-signed; smtp; submission; submissions; imap; imaps; http; https; metrics }",
         ""},
        {"listen a { address ::1; smtp { no-starttls }; http; metrics }", ""},
        {"listen a { address ::1; allow-insecure-auth; submission { no-starttls }; imap { no-starttls } }", ""},
        {"listen a { address ::1; smtp; }",
         "m:2:25: 'smtp' offers STARTTLS in a listener without TLS, expected 'tls' in listener 'a', or 'smtp { "
         "no-starttls }'\n"},
        {"listen a { address ::1; imaps }",
         "m:2:25: 'imaps' in a listener without TLS, expected 'tls' in listener 'a'\n"},
        {"listen a { address ::1; https }",
         "m:2:25: 'https' in a listener without TLS, expected 'tls' in listener 'a'\n"},
        {"listen a { address ::1; submissions }",
         "m:2:25: 'submissions' in a listener without TLS, expected 'tls' in listener 'a'\n"},
        {"listen a { address ::1; imap { no-starttls } }",
         "m:2:25: nobody could log in by 'imap': passwords need TLS, and it has none, expected STARTTLS, or "
         "'allow-insecure-auth'\n"},
        {"listen a { address ::1 }", "m:2:1: listener 'a' has no service, expected smtp, submission, imap, ...\n"},
        {"listen a { address ::1; metrics }\nlisten a { address ::1; http }",
         "m:3:1: a second listener 'a', expected another name\n"},
        {"listen a { address ::1; metrics }\nlisten b { address ::1; metrics }",
         "m:3:25: 'metrics' on ::1 port 8010 collides with 'metrics' in line 2, expected another address or port\n"},
        {"listen a { address 0.0.0.0; http }\nlisten b { address 10.0.0.1; http }",
         "m:3:30: 'http' on 10.0.0.1 port 80 collides with 'http' in line 2, expected another address or port\n"},
        {"listen a { address ::1; http; metrics { port 80 } }",
         "m:2:31: 'metrics' on ::1 port 80 collides with 'http' in line 2, expected another address or port\n"},
        {"listen a { address ::; http }\nlisten b { address 0.0.0.0; http }", ""},
        {"listen a { address 10.0.0.1; http }\nlisten b { address 10.0.0.2; http }", ""},
        {"listen a { address ::1, 10.0.0.1, 0:0::1; http }",
         "m:2:1: addresses ::1 and ::1 of listener 'a' overlap, expected each address once\n"},
        {"listen a { address ::1; http; max-connections 5; max-connections-per-address 6 }",
         "m:2:1: 'max-connections-per-address' 6 is more than 'max-connections' 5, expected at most as many\n"},
        {"listen a { address ::1; http }\nuser smtpd root",
         "m: a program runs as 'root', expected a user without privileges\n"},
        {"listen a { address ::1; http }\nuser smtpd _moxstore",
         "m: two programs run as user '_moxstore', expected a user for each program\n"},
        {"listen a { address ::1; http }\nqueue { source-address 10.0.0.1, 10.0.0.2 }",
         "m: more than one 'source-address' of a kind, expected at most one IPv4 and one IPv6 address\n"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(config_faults(row.text) == row.faults);
    }
}

TEST_CASE("names in domains.conf are unique and exist") {
    struct Row {
        std::string text, faults;
    };
    const Row rows[] = {
        {"domain a.b; account x { address x@a.b, y@a.b, *@a.b }", ""},
        {"domain a.b; domain c.d; account x { address x@a.b, x@c.d, *@a.b, *@c.d }", ""},
        {"domain a.b\ndomain A.B", "d:2:1: a second domain 'a.b', expected each domain once\n"},
        {"account x\naccount X", "d:2:1: a second account 'X', expected names that differ by more than case\n"},
        {"transport t { host a }\ntransport t { host a }", "d:2:1: a second transport 't', expected another name\n"},
        {"account x { address x@a.b }",
         "d:1:21: 'x@a.b' is of a domain that is not configured, expected a 'domain \"a.b\"'\n"},
        {"domain a.b; account x { address x@a.b }\naccount y { address X@A.b }",
         "d:2:21: 'X@a.b' is the same address as in line 1, expected each address once\n"},
        {"domain a.b { case-sensitive }; account x { address x@a.b, X@a.b }", ""},
        {"domain a.b; account x { address *@a.b }\naccount y { address *@a.b }",
         "d:2:21: '*@a.b' is the same address as in line 1, expected each address once\n"},
        {"domain a.b; account x { address x+y@a.b }",
         "d:1:33: 'x+y@a.b' has a separator of its domain in it, expected 'x@a.b'\n"},
        {"domain a.b { localpart-separators - }; account x { address x+y@a.b }", ""},
        {"domain a.b { localpart-separators \"*\" }; account x { address *@a.b }", ""},
        {"route { transport t }\ndomain a.b { route { transport u } }\naccount x { route { transport v } }",
         "d:1:1: no transport 't', expected the name of a transport\nd:2:14: no transport 'u', expected the name of a "
         "transport\n"
         "d:3:13: no transport 'v', expected the name of a transport\n"},
        {"transport t { host a }; route { transport t }", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(domains_faults(row.text) == row.faults);
    }
}

TEST_CASE("the postmaster's account must exist") {
    auto config = parse_config(minimal(""), "m");
    auto without = parse_domains("account x", "d");
    auto with = parse_domains("account p", "d");
    REQUIRE(config);
    REQUIRE(without);
    REQUIRE(with);
    CHECK(lines(validate(*config, *with)).empty());
    CHECK(lines(validate(*config, *without)) == "m:1:21: no account 'p', expected the name of an account in d\n");
}

TEST_CASE("faults of both files come together") {
    auto config = parse_config("hostname h.example; postmaster account p; listen l { address ::1; imaps }", "m");
    auto domains = parse_domains("account p { address a@b }", "d");
    REQUIRE(config);
    REQUIRE(domains);
    auto faults = validate(*config, *domains);
    REQUIRE(faults.size() == 2);
    CHECK(faults[0].file == "m");
    CHECK(faults[1].file == "d");
}

TEST_CASE("local parts are compared in canonical form") {
    Domain domain{.name = "a.b"};
    CHECK(canonical_localpart(domain, "Alice+Shop+x") == "alice");
    CHECK(canonical_localpart(domain, "+x") == "+x");
    CHECK(canonical_localpart(domain, "*") == "*");
    CHECK(canonical_localpart(domain, "") == "");
    domain.case_sensitive = true;
    domain.localpart_separators = {"-", "+"};
    CHECK(canonical_localpart(domain, "Al+x-y") == "Al");
    CHECK(canonical_localpart(domain, "Al-x+y") == "Al");
    domain.localpart_separators.clear();
    CHECK(canonical_localpart(domain, "Al-x+y") == "Al-x+y");
}
