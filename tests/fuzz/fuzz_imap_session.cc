// Feeds a logged-in IMAP session, over a store in memory, with anything a client may send; it must answer or end, and
// live.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/socket.h>

#include "common/log/log.h"
#include "imapd/worker/session.h"
#include "tests/unit/imapd/fake_account.h"

using namespace mox;
using namespace mox::imapd;

namespace {

constexpr std::string_view kMessage =
    "From: a@b.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n--x--\r\n";

async::Task<void> serve(Account& account, fake::Store& store, proto::StartSession start, Counters& counters,
                        bool& ended) {
    auto admitted = co_await account.admit(store.connect());
    if (!admitted) std::abort();
    Session session(account, std::move(start), counters, {.write = std::chrono::seconds(1)});
    co_await session.run();
    ended = true;
}

// Reads what the session answers, so that it never waits for the reader.
void drain(int fd) {
    char buffer[65536];
    while (::recv(fd, buffer, sizeof buffer, 0) > 0) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    log::set_level(log::Level::error);
    async::Loop loop;
    fake::Store store;
    for (int i = 0; i < 3; i++)
        store.add(*store.find("INBOX"), std::string(kMessage), i == 0 ? proto::kSeen : 0, "Received: x\r\n");
    Account account("test");
    Counters counters;
    bool ended = false;
    auto [ours, theirs] = ipc::make_socket_pair();
    proto::StartSession start{};
    start.tag = "l";
    start.max_message_size = 1 << 16;
    start.pending_input = "s SELECT INBOX\r\n" + std::string(reinterpret_cast<const char*>(data), size);
    start.stream = std::move(theirs);
    async::Scope scope;
    scope.spawn(serve(account, store, std::move(start), counters, ended));
    bool shut = false;
    for (int step = 0; step < 20000 && !ended; step++) {
        event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
        drain(ours.get());
        if (step > 8 && !shut) {
            ::shutdown(ours.get(), SHUT_WR);
            shut = true;
        }
    }
    if (!ended) std::abort();  // a session whose client is gone ends
    scope.cancel();
    return 0;
}
