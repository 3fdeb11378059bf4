#include "dnsd/answer.h"
#include "tests/unit/catch.h"
#include "tests/unit/dnsd/packet.h"

using namespace mox;
using namespace mox::dnsd;
using namespace mox::dnsd::testing;

namespace {

const std::string kV4("\xc0\x00\x02\x01", 4);
const std::string kV6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + '\x01';

}  // namespace

TEST_CASE("addresses come out as text") {
    Packet p{"host.Example", RecordType::a};
    p.answer(record("HOST.example", RecordType::a, 300, kV4)).answer(record("host.example", RecordType::a, 60, kV4));
    auto a = parse_answer(p.bytes(), RecordType::a);
    REQUIRE(a);
    CHECK(a->head.status == proto::DnsStatus::found);
    CHECK(a->head.canonical_name == "host.example");
    CHECK(a->head.ttl == 60);
    CHECK(a->addresses == std::vector<std::string>{"192.0.2.1", "192.0.2.1"});

    Packet six{"host.example", RecordType::aaaa};
    six.answer(record("host.example", RecordType::aaaa, 300, kV6));
    CHECK(parse_answer(six.bytes(), RecordType::aaaa)->addresses == std::vector<std::string>{"2001:db8::1"});
}

TEST_CASE("an address of the wrong length is left out") {
    Packet p{"h.example", RecordType::a};
    p.answer(record("h.example", RecordType::a, 300, "abc")).answer(record("h.example", RecordType::a, 300, kV4));
    CHECK(parse_answer(p.bytes(), RecordType::a)->addresses.size() == 1);
}

TEST_CASE("aliases are followed and bounded") {
    Packet p{"www.example", RecordType::a};
    p.answer(record("www.example", RecordType::cname, 30, name("b.example")));
    p.answer(record("b.example", RecordType::cname, 300, name("c.example")));
    p.answer(record("c.example", RecordType::a, 300, kV4));
    p.answer(record("other.example", RecordType::a, 300, kV4));  // not asked for
    auto a = parse_answer(p.bytes(), RecordType::a);
    REQUIRE(a);
    CHECK(a->head.canonical_name == "c.example");
    CHECK(a->addresses.size() == 1);
    CHECK(a->head.ttl == 30);

    Packet circle{"a.example", RecordType::a};
    circle.answer(record("a.example", RecordType::cname, 30, name("b.example")));
    circle.answer(record("b.example", RecordType::cname, 30, name("a.example")));
    CHECK_FALSE(parse_answer(circle.bytes(), RecordType::a));
}

TEST_CASE("MX hosts are sorted, and a bad one does not cost the others") {
    Packet p{"example", RecordType::mx};
    p.answer(record("example", RecordType::mx, 300, u16(20) + name("b.example")));
    p.answer(record("example", RecordType::mx, 300, u16(10) + name("A.example")));
    p.answer(record("example", RecordType::mx, 300, u16(5) + name("bad host.example")));
    p.answer(record("example", RecordType::mx, 300, "x"));
    p.answer(record("example", RecordType::mx, 300, u16(7) + name("c.example") + "junk"));
    auto a = parse_answer(p.bytes(), RecordType::mx);
    REQUIRE(a);
    REQUIRE(a->hosts.size() == 2);
    CHECK(a->hosts[0].host == "a.example");
    CHECK(a->hosts[0].preference == 10);
    CHECK(a->hosts[1].host == "b.example");
}

TEST_CASE("a null MX is a host without name") {
    Packet p{"example", RecordType::mx};
    p.answer(record("example", RecordType::mx, 300, u16(0) + name("")));
    auto a = parse_answer(p.bytes(), RecordType::mx);
    REQUIRE(a->hosts.size() == 1);
    CHECK(a->hosts[0].host.empty());
}

TEST_CASE("the strings of a TXT record are joined") {
    Packet p{"example", RecordType::txt};
    p.answer(record("example", RecordType::txt, 300, std::string("\3v=s\3pf1", 8)));
    p.answer(record("example", RecordType::txt, 300, std::string("\0", 1)));
    p.answer(record("example", RecordType::txt, 300, "\5abc"));  // longer than it is
    p.answer(record("example", RecordType::txt, 300, ""));
    auto a = parse_answer(p.bytes(), RecordType::txt);
    CHECK(a->texts == std::vector<std::string>{"v=spf1", ""});
}

TEST_CASE("PTR and TLSA") {
    Packet p{"1.2.0.192.in-addr.arpa", RecordType::ptr};
    p.answer(record("1.2.0.192.in-addr.arpa", RecordType::ptr, 300, name("mail.example")));
    CHECK(parse_answer(p.bytes(), RecordType::ptr)->names == std::vector<std::string>{"mail.example"});

    Packet t{"_25._tcp.mx.example", RecordType::tlsa};
    t.answer(record("_25._tcp.mx.example", RecordType::tlsa, 300, "\3\1\1abcd"));
    t.answer(record("_25._tcp.mx.example", RecordType::tlsa, 300, "\3\1\1"));
    auto a = parse_answer(t.bytes(), RecordType::tlsa);
    REQUIRE(a->tlsa.size() == 1);
    CHECK(a->tlsa[0].usage == 3);
    CHECK(a->tlsa[0].data == "abcd");
}

TEST_CASE("nothing found, in its two ways, with the time to remember it") {
    std::string soa = name("ns.example") + name("root.example") + u32(1) + u32(2) + u32(3) + u32(4) + u32(90);
    Packet p{"none.example", RecordType::a};
    p.records = record("example", RecordType::soa, 3600, soa);
    p.authorities = 1;
    auto no_data = parse_answer(p.bytes(), RecordType::a);
    REQUIRE(no_data);
    CHECK(no_data->head.status == proto::DnsStatus::no_data);
    CHECK(no_data->head.ttl == 90);
    p.rcode = 3;
    CHECK(parse_answer(p.bytes(), RecordType::a)->head.status == proto::DnsStatus::no_domain);
    p.rcode = 2;
    auto failed = parse_answer(p.bytes(), RecordType::a);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().is_temporary());
}

TEST_CASE("compression pointers lead backwards only") {
    auto with = [](std::string owner) {
        Packet p{"h.example", RecordType::a};
        p.answer(owner + u16(1) + u16(1) + u32(300) + u16(4) + kV4);
        return p.bytes();
    };
    auto a = parse_answer(with(kQuestionPointer), RecordType::a);
    REQUIRE(a);
    CHECK(a->addresses.size() == 1);
    CHECK_FALSE(parse_answer(with("\xc0\xff"), RecordType::a));                  // beyond
    CHECK_FALSE(parse_answer(with(std::string("\xc0\x1b", 2)), RecordType::a));  // itself: the record begins at 27
    CHECK_FALSE(parse_answer(with(std::string("\x40"
                                              "a",
                                              2)),
                             RecordType::a));  // a label type that is not
}

TEST_CASE("every truncation is refused or gives less, and never more") {
    Packet p{"www.example", RecordType::mx};
    p.answer(record("www.example", RecordType::cname, 30, name("b.example")));
    p.answer(record("b.example", RecordType::mx, 300, u16(1) + name("c.example")));
    std::string bytes = p.bytes();
    REQUIRE(parse_answer(bytes, RecordType::mx)->hosts.size() == 1);
    for (size_t n = 0; n < bytes.size(); n++) CHECK_FALSE(parse_answer(bytes.substr(0, n), RecordType::mx));
}

TEST_CASE("an answer to another question, or with too many records, is refused") {
    Packet p{"example", RecordType::mx};
    CHECK_FALSE(parse_answer(p.bytes(), RecordType::a));
    for (size_t i = 0; i <= kMaxRecords; i++)
        p.answer(record("example", RecordType::mx, 1, u16(1) + name("c.example")));
    CHECK_FALSE(parse_answer(p.bytes(), RecordType::mx));
}
