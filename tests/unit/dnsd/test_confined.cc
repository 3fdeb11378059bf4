// Lookups inside the sandbox that dnsd enters: the library must get by with what is left.
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox/sandbox.h"
#include "dnsd/dnsd.h"
#include "tests/unit/catch.h"
#include "tests/unit/dnsd/fake_name_server.h"

using namespace mox;
using namespace mox::dnsd;

namespace {

async::Task<void> look_up(Lookups& lookups, int& status) {
    auto found = co_await lookups.on(proto::LookupAddresses{"ok.test"});
    auto truncated = co_await lookups.on(proto::LookupTxt{"tcp.test"});  // goes on over TCP, where nobody listens
    auto local = co_await lookups.on(proto::LookupMx{"local.example"});
    bool good = found && found->addresses.size() == 1 && !truncated && local && local->hosts.size() == 1;
    status = good ? 0 : 3;
    async::Loop::current().stop();
}

/// In a process of its own, which the filter kills when the library does what it must not.
[[noreturn]] void confined() {
    async::Loop loop;
    testing::FakeNameServer server;
    Resolver::prepare();
    sandbox::Identity identity{geteuid() == 0 ? "nobody" : "", "/tmp"};
    sandbox::enter({.files = sandbox::Files::none, .network = sandbox::Network::connect, .max_files = 2048}, identity);
    int status = 2;
    {
        Resolver resolver;
        Lookups lookups(resolver);
        proto::ConfigureDnsd config{};
        config.forward = {server.address()};
        config.local_data = {"local.example. 300 IN MX 10 mx.local.example."};
        config.no_dnssec = true;
        if (!resolver.configure(config)) _exit(4);
        async::Scope scope;
        scope.spawn(look_up(lookups, status));
        if (status == 2) loop.run();
        // A second context, made inside the sandbox as at a reload.
        if (!resolver.configure(config)) _exit(5);
    }
    _exit(status);
}

}  // namespace

TEST_CASE("lookups work inside the sandbox") {
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) confined();
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
