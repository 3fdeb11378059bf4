#include "common/config/values.h"
#include "tests/unit/catch.h"

using namespace mox::config;
using namespace std::chrono_literals;

TEST_CASE("sizes") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("512") == 512);
    CHECK(parse_size("100K") == 102400);
    CHECK(parse_size("10M") == 10485760);
    CHECK(parse_size("5G") == uint64_t{5} << 30);
    CHECK(parse_size("2T") == uint64_t{2} << 40);
    for (std::string_view bad :
         {"", "K", "10k", "10KB", "-1", "1.5M", " 1", "18446744073709551616", "99999999999999T"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_size(bad));
    }
    for (uint64_t size :
         {uint64_t{0}, uint64_t{1}, uint64_t{1024}, uint64_t{1025}, uint64_t{10} << 20, uint64_t{1} << 60}) {
        CHECK(parse_size(write_size(size)) == size);
    }
    CHECK(write_size(uint64_t{10} << 30) == "10G");
    CHECK(write_size(1536) == "1536");
}

TEST_CASE("durations") {
    CHECK(parse_duration("30s") == 30s);
    CHECK(parse_duration("5m") == 5min);
    CHECK(parse_duration("4h") == 4h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("7m30s") == 450s);
    CHECK(parse_duration("1d2h3m4s") == 26h + 3min + 4s);
    CHECK(parse_duration("0s") == 0s);
    for (std::string_view bad :
         {"", "5", "m", "5x", "5s5m", "5m5m", "1.5h", "-1s", "5 m", "4000d", "99999999999999999999d"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_duration(bad));
    }
}

TEST_CASE("names of domains become A-labels in lower case") {
    CHECK(parse_domain_name("Mail.Example.ORG") == "mail.example.org");
    CHECK(parse_domain_name("localhost") == "localhost");
    CHECK(parse_domain_name("b\xc3\xbc"
                            "cher.example") == "xn--bcher-kva.example");
    CHECK(parse_domain_name("B\xc3\x9c"
                            "CHER.example") == "xn--bcher-kva.example");
    CHECK(parse_domain_name("fa\xc3\x9f.de") == "xn--fa-hia.de");  // RFC 5894 7.2: not "fass"
    CHECK(parse_domain_name(std::string(63, 'a') + ".x"));
    for (std::string bad :
         {"", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a_b.c", "a b", "192.0.2.1", "a.1", "a@b", "*"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_domain_name(bad));
    }
    CHECK_FALSE(parse_domain_name(std::string(64, 'a') + ".x"));
    std::string long_name;
    for (int i = 0; i < 127; i++) long_name += "a.";
    CHECK(parse_domain_name(long_name.substr(2) + "a").has_value());     // 253
    CHECK_FALSE(parse_domain_name(long_name + "a").has_value());         // 255
    CHECK_FALSE(parse_domain_name("\xe2\x98\x83\xe2\x80\x8d.example"));  // not allowed by IDNA 2008
}

TEST_CASE("IP addresses are canonical") {
    CHECK(parse_ip("192.0.2.1") == "192.0.2.1");
    CHECK(parse_ip("2001:DB8:0:0::1") == "2001:db8::1");
    CHECK(parse_ip("::") == "::");
    for (std::string_view bad :
         {"", "192.0.2", "192.0.2.256", "01.2.3.4", ":::", "fe80::1%eth0", "localhost", "[::1]"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_ip(bad));
    }
}

TEST_CASE("local parts, names, mailboxes and paths") {
    for (std::string_view good : {"a", "a.b", "*", "a+b", "o'hara", "!#$%&'*+-/=?^_`{|}~", "j\xc3\xb6rg"})
        CHECK(is_localpart(good));
    for (std::string_view bad : {"", ".a", "a.", "a..b", "a b", "a@b", "\"a\"", "(a)"}) CHECK_FALSE(is_localpart(bad));
    CHECK(is_localpart(std::string(64, 'a')));
    CHECK_FALSE(is_localpart(std::string(65, 'a')));

    for (std::string_view good : {"a", "A.b_c-1", "_moxauth", "9"}) CHECK(is_name(good));
    for (std::string_view bad : {"", ".", "..", ".a", "-a", "a/b", "a b", "\xc3\xbc", "a@b"}) CHECK_FALSE(is_name(bad));
    CHECK(is_name(std::string(64, 'a')));
    CHECK_FALSE(is_name(std::string(65, 'a')));

    CHECK(parse_mailbox("Lists/a b") == "Lists/a b");
    CHECK(parse_mailbox("INBOX") == "Inbox");
    CHECK(parse_mailbox("inbox/x") == "Inbox/x");
    CHECK(parse_mailbox("inboxes") == "inboxes");
    for (std::string bad : {"", "/a", "a/", "a//b", "a/../b", ".", "#a"}) CHECK_FALSE(parse_mailbox(bad));
    CHECK_FALSE(parse_mailbox(std::string(256, 'a')));

    CHECK(is_path("/"));
    CHECK_FALSE(is_path(""));
    CHECK_FALSE(is_path("a/b"));
    CHECK_FALSE(is_path("/" + std::string(1024, 'a')));
}
