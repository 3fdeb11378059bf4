#include "dnsd/name.h"
#include "tests/unit/catch.h"

using namespace mox::dnsd;

TEST_CASE("names that are asked for are checked") {
    CHECK(check_name("Example.ORG.").value() == "example.org");
    CHECK(check_name("_25._tcp.mx.example").value() == "_25._tcp.mx.example");
    CHECK(check_name("xn--bcher-kva.example"));
    std::string label(63, 'a');
    CHECK(check_name(label + ".example"));
    CHECK_FALSE(check_name(label + "a.example"));
    std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
    CHECK(longest.size() == kMaxName);
    CHECK(check_name(longest));
    CHECK_FALSE(check_name(longest + "b"));
    for (const char* bad : {"", ".", "a..b", ".a", "a b", "a\\b", "b\u00fccher.example", "a/b", "a\nb", "a.."}) {
        CAPTURE(bad);
        CHECK_FALSE(check_name(bad));
    }
}

TEST_CASE("reverse names") {
    CHECK(reverse_name("192.0.2.1").value() == "1.2.0.192.in-addr.arpa");
    CHECK(reverse_name("2001:db8::567:89ab").value() ==
          "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");  // RFC 3596 2.5
    CHECK_FALSE(reverse_name("192.0.2"));
    CHECK_FALSE(reverse_name("example.org"));
}
