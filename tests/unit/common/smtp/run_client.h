// A client and a scripted server at the two ends of a socket pair.
#pragma once

#include <optional>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/smtp/client.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/smtp/fake_server.h"

namespace mox::smtp::testing {

struct Run {
    std::optional<Outcome> open;
    std::vector<std::vector<Outcome>> sent;
    bool usable = false;
    std::string tls_version;
    Seen seen;
    bool done = false;
};

inline Fd file_with(std::string_view content) {
    Fd file(memfd_create("content", MFD_CLOEXEC));
    REQUIRE(write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    return file;
}

inline async::Task<void> use_client(Fd socket, ClientOptions options, std::vector<Mail> mails, Run& run) {
    {
        Client client(std::move(socket), std::move(options), log::Logger());
        run.open = co_await client.open();
        run.tls_version = client.tls_version();
        if (!run.open) {
            for (auto& mail : mails) {
                if (!run.sent.empty() && !client.usable()) break;
                run.sent.push_back(co_await client.send(std::move(mail)));
            }
            run.usable = client.usable();
        }
        co_await client.quit();
    }
    run.done = true;
    async::Loop::current().stop();
}

inline Run run_client(Script script, ClientOptions options, std::vector<Mail> mails) {
    signal(SIGPIPE, SIG_IGN);  // as every program of the suite does: libtls writes without MSG_NOSIGNAL
    async::Loop loop;
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    Run run;
    options.hostname = "client.example";
    options.remote_name = "localhost";
    options.remote_address = "192.0.2.1";
    async::Scope scope;
    scope.spawn(serve(Fd(ends[0]), script, run.seen));
    scope.spawn(use_client(Fd(ends[1]), std::move(options), std::move(mails), run));
    if (!run.done) loop.run();
    return run;
}

}  // namespace mox::smtp::testing
