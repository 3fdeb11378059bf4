// How many durable deliveries of 2 KB a second the store takes from 1, 10 and 50 writers, what a flush is shared by,
// and what a delivery costs in bytes of the journal and in time of the processor. By hand: bench_store DIRECTORY (an
// empty one, on the disk to be measured).
#include <cstdio>
#include <filesystem>
#include <sys/resource.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "storaged/server.h"

using namespace mox;
using namespace std::chrono_literals;

namespace {

constexpr int kAccounts = 10;
constexpr auto kSpan = 5s;

async::Task<void> write_mail(ipc::Channel& channel, int writer, async::Deadline end, uint64_t& count) {
    const std::string text(2048, 'x');
    while (async::Clock::now() < end) {
        proto::Deliver request{};
        request.content = text;
        request.facts.size = text.size();
        request.facts.info = std::string(600, 'i');
        // Hardly two messages have a sender in common.
        std::string number = std::to_string(count * 50 + static_cast<uint64_t>(writer));
        request.facts.mail_from = "bounce" + number + "@relay" + number + ".example";
        request.facts.remote_address = fmt::format("198.{}.{}.{}", count % 256, count / 256 % 256, writer);
        request.facts.ehlo = "mail" + number + ".example";
        request.facts.sender = {"someone@domain" + number + ".example",
                                "domain" + number + ".example",
                                0,
                                {"domain" + number + ".example"}};
        request.targets.push_back({"user" + std::to_string(writer % kAccounts), "", "Received: by this host\r\n"});
        auto outcomes = co_await channel.call(std::move(request), async::in(30s));
        if (!outcomes || outcomes->targets[0].error) {
            std::puts("a delivery failed");
            co_return;
        }
        count++;
    }
}

/// Seconds of the processor that all threads have used.
double processor_time() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

async::Task<void> measure(storaged::Server& server, ipc::Channel& channel, async::Loop& loop) {
    for (int writers : {1, 10, 50}) {
        uint64_t count = 0;
        const auto& journal = server.engine().journal.counters();
        uint64_t flushes = journal.flushes;
        uint64_t bytes = journal.bytes;
        double processor = processor_time();
        async::Scope scope;
        for (int i = 0; i < writers; i++) scope.spawn(write_mail(channel, i, async::in(kSpan), count));
        co_await scope.join();
        auto each = [&](double all) { return all / static_cast<double>(std::max<uint64_t>(count, 1)); };
        fmt::print("{:3} writers: {:8.0f} deliveries/s; each: {:.2f} flushes, {:.0f} bytes of journal, {:.0f} us\n",
                   writers, static_cast<double>(count) / std::chrono::duration<double>(kSpan).count(),
                   each(static_cast<double>(journal.flushes - flushes)),
                   each(static_cast<double>(journal.bytes - bytes)), each((processor_time() - processor) * 1e6));
    }
    loop.stop();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 || chdir(argv[1]) != 0) {
        std::puts("usage: bench_store DIRECTORY");
        return 1;
    }
    async::Loop loop;
    storaged::Server server;
    proto::ConfigureStoraged config{};
    for (int i = 0; i < kAccounts; i++) config.accounts.push_back({"user" + std::to_string(i), 0});
    server.configure(config);
    auto [ours, theirs] = ipc::make_socket_pair();
    server.accept(std::move(theirs), {ipc::Role::smtpd, "smtpd"});
    ipc::Channel channel(std::move(ours), {ipc::Role::storaged, "storaged"});
    channel.start();
    async::Scope scope;
    scope.spawn(measure(server, channel, loop));
    loop.run();
    return 0;
}
