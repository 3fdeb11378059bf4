#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox::config;

TEST_CASE("domains.conf is written in its canonical form and read back the same") {
    std::string text = R"(route { to-domain .x.y, z; min-attempts 2; transport t }
expire Trash 720h; account a { quota 1536K; expire Junk never; address A@a.b, *@a.b { mailbox "L \"1\"" }; route { transport t } }
account b { submission-server; login-disabled "no \\ more"; full-name "B" }
domain a.b; domain c.d { expire Rejects 90m; localpart-separators none; disabled; case-sensitive; description "d"; route { from-domain q; transport t } }
transport t { host h.x; username u; password "p\"w"; verify no }
transport o { host 192.0.2.1; tls opportunistic }
)";
    const std::string canonical = R"(domain "a.b"
domain "c.d" {
    description "d"
    disabled yes
    localpart-separators none
    case-sensitive yes
    expire "Rejects" 90m
    route {
        from-domain "q"
        transport "t"
    }
}
account "a" {
    address "A@a.b" { mailbox "L \"1\"" }
    address "*@a.b" { mailbox "L \"1\"" }
    quota 1536K
    expire "Junk" never
    route {
        transport "t"
    }
}
account "b" {
    full-name "B"
    login-disabled "no \\ more"
    submission-server yes
}
transport "t" {
    host "h.x"
    port 587
    tls starttls
    verify no
    username "u"
    password "p\"w"
}
transport "o" {
    host "192.0.2.1"
    port 25
    tls opportunistic
}
expire "Trash" 30d
route {
    to-domain ".x.y", "z"
    min-attempts 2
    transport "t"
}
)";
    auto first = parse_domains(text, "d");
    REQUIRE(first);
    CHECK(write_domains(*first) == canonical);
    auto second = parse_domains(canonical, "d");
    REQUIRE(second);
    CHECK(*second == *first);
    CHECK(write_domains(*second) == canonical);
}
