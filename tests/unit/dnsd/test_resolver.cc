// The library on the loop: local data only, and a server on loopback that answers as told; nothing leaves the machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

#include "dnsd/dnsd.h"
#include "tests/unit/catch.h"
#include "tests/unit/dnsd/fake_name_server.h"

using namespace mox;
using namespace mox::dnsd;
using namespace std::chrono_literals;

namespace {

template <class T>
async::Task<void> keep(async::Task<T> task, std::optional<T>& value) {
    value.emplace(co_await task);
    async::Loop::current().stop();
}

template <class T>
T wait(async::Loop& loop, async::Task<T> task) {
    std::optional<T> value;
    async::Scope scope;
    scope.spawn(keep(std::move(task), value));
    if (!value) loop.run();
    return std::move(*value);
}

proto::ConfigureDnsd local_config() {
    proto::ConfigureDnsd config{};
    config.local_data = {"remote.example. 300 IN MX 10 mx.remote.example.",
                         "mx.remote.example. 300 IN A 127.0.0.1",
                         "mx.remote.example. 300 IN AAAA ::1",
                         "null.example. 300 IN MX 0 .",
                         "empty.example. 300 IN TXT \"a text\"",
                         "1.2.0.192.in-addr.arpa. 300 IN PTR mx.remote.example."};
    config.no_dnssec = true;
    return config;
}

}  // namespace

TEST_CASE("local data answers every kind of lookup without a packet") {
    async::Loop loop;
    Resolver::prepare();
    Resolver resolver;
    Lookups lookups(resolver);
    CHECK(wait(loop, lookups.on(proto::LookupMx{"remote.example"})).error().code == ErrorCode::unavailable);
    auto configured = resolver.configure(local_config());
    REQUIRE((configured ? std::string() : configured.error().text) == "");

    auto mx = wait(loop, lookups.on(proto::LookupMx{"Remote.Example."}));
    REQUIRE(mx);
    REQUIRE(mx->hosts.size() == 1);
    CHECK(mx->hosts[0].host == "mx.remote.example");
    CHECK(mx->answer.security == proto::DnsSecurity::insecure);

    auto addresses = wait(loop, lookups.on(proto::LookupAddresses{"mx.remote.example"}));
    REQUIRE(addresses);
    CHECK(addresses->addresses == std::vector<std::string>{"::1", "127.0.0.1"});

    auto null = wait(loop, lookups.on(proto::LookupMx{"null.example"}));
    REQUIRE(null);
    CHECK(null->hosts.at(0).host.empty());

    auto none = wait(loop, lookups.on(proto::LookupAddresses{"empty.example"}));
    REQUIRE(none);
    CHECK(none->addresses.empty());
    CHECK(none->v4.status == proto::DnsStatus::no_data);

    CHECK(wait(loop, lookups.on(proto::LookupTxt{"empty.example"}))->texts == std::vector<std::string>{"a text"});
    CHECK(wait(loop, lookups.on(proto::LookupReverse{"192.0.2.1"}))->names ==
          std::vector<std::string>{"mx.remote.example"});
    CHECK(wait(loop, lookups.on(proto::LookupMx{"nothing.invalid"}))->answer.status == proto::DnsStatus::no_domain);
    CHECK(wait(loop, lookups.on(proto::LookupMx{"bad name"})).error().code == ErrorCode::bad_request);
    CHECK(lookups.metrics().find("mox_dns_lookup_duration_seconds_count{type=\"mx\",result=\"found\"} 2") !=
          std::string::npos);
    CHECK(resolver.pending() == 0);
}

TEST_CASE("settings that the library does not take are named, and the old ones stay") {
    async::Loop loop;
    Resolver resolver;
    Lookups lookups(resolver);
    REQUIRE(resolver.configure(local_config()));
    auto bad = local_config();
    bad.local_data.push_back("this is no record");
    auto refused = resolver.configure(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text.find("this is no record") != std::string::npos);
    auto forward = local_config();
    forward.forward = {"not-an-address"};
    CHECK_FALSE(resolver.configure(forward));
    CHECK(wait(loop, lookups.on(proto::LookupMx{"remote.example"})));
}

TEST_CASE("a forwarder is asked, and its answers are kept") {
    async::Loop loop;
    testing::FakeNameServer server;
    Resolver resolver;
    Lookups lookups(resolver);
    auto config = local_config();
    config.forward = {server.address()};
    REQUIRE(resolver.configure(config));
    auto found = wait(loop, lookups.on(proto::LookupAddresses{"ok.test"}));
    REQUIRE(found);
    CHECK(found->addresses == std::vector<std::string>{"192.0.2.9"});
    int asked = server.asked;
    CHECK(asked >= 2);
    CHECK(wait(loop, lookups.on(proto::LookupAddresses{"ok.test"})));
    CHECK(server.asked == asked);
    auto none = wait(loop, lookups.on(proto::LookupMx{"missing.test"}));
    REQUIRE(none);
    CHECK(none->answer.status == proto::DnsStatus::no_domain);
}

TEST_CASE("a lookup under way may be dropped, or outlive its configuration") {
    async::Loop loop;
    testing::FakeNameServer server;
    auto config = local_config();
    config.forward = {server.address()};
    {
        Resolver resolver;
        REQUIRE(resolver.configure(config));
        {
            auto dropped = resolver.lookup("silent.test", RecordType::a);
            CHECK_FALSE(dropped.done());
        }
        CHECK(resolver.pending() == 1);  // the library does not know yet
        auto waiting = resolver.lookup("silent.test", RecordType::mx);
        REQUIRE(resolver.configure(config));
        CHECK_FALSE(waiting.done());
        CHECK(wait(loop, resolver.lookup("ok.test", RecordType::a)));
    }
}

TEST_CASE("an anchor makes unsigned answers below it bogus, and that temporary") {
    async::Loop loop;
    testing::FakeNameServer server;
    Resolver resolver;
    Lookups lookups(resolver);
    auto config = local_config();
    config.no_dnssec = false;
    config.forward = {server.address()};
    config.trust_anchor =
        "; a comment\n\ntest. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
    REQUIRE(resolver.configure(config));
    auto bogus = wait(loop, resolver.lookup("ok.test", RecordType::a));
    REQUIRE_FALSE(bogus);
    CHECK(bogus.error().is_temporary());
}
