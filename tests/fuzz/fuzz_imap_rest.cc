// What moxd gives to a worker that wakes, which one that was taken over may have made: the state of a session at rest.
// First byte: what has become of the mailbox meanwhile; the rest is the state. What is taken must hold what it
// promises, and its session, over a store in memory, must go on or end, live, and rest again by a state that is taken.
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

constexpr uint64_t kMaxExpanded = 20'000;  // messages a session is made for here; more of the same only takes longer

void check(bool right) {
    if (!right) std::abort();
}

uint64_t check_uids(const std::string& bytes) {
    auto ranges = unpack_uids(bytes);
    check(ranges.has_value());
    uint64_t count = 0;
    uint64_t last = 0;
    for (auto range : *ranges) {
        check(range.first > last && range.first <= range.last);
        last = range.last;
        count += uint64_t{range.last} - range.first + 1;
    }
    check(unpack_uids(pack_uids(*ranges)) == ranges);
    return count;
}

// How many messages it speaks of.
uint64_t check_view(const RestedView& view) {
    check(view.changes.size() <= kMaxRestedChanges && view.keywords.size() <= proto::kMaxKeywords);
    check(view.uid_bytes() <= kMaxRestedUids);
    check_uids(view.saved);
    for (const auto& change : view.changes) check_uids(change.uids);
    uint64_t count = check_uids(view.uids);
    check(count <= kMaxRestedMessages);
    return count;
}

struct World {
    async::Loop loop;
    fake::Store store;
    Account account{"test"};
    Counters counters;
    std::unique_ptr<Session> session;
    bool ended = false;
    async::Scope scope;

    async::Task<void> go_on(RestedSession rested, Fd stream) {
        check((co_await account.admit(store.connect())).has_value());
        session = std::make_unique<Session>(account, std::move(rested), std::move(stream), Fd(), counters);
        co_await session->run();
        ended = true;
    }
    // What it answers is read, so that it never waits for the reader.
    void run(int fd, int steps) {
        char buffer[65536];
        for (int step = 0; step < steps && !ended; step++) {
            event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
            while (::recv(fd, buffer, sizeof buffer, 0) > 0) {
            }
        }
    }
};

void fill(World& world, uint8_t kind) {
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 4; i++) world.store.add(box, "Subject: x\r\n\r\nbody\r\n", i == 0 ? proto::kSeen : 0);
    if (kind & 1) world.store.remove(box, 2);
    if (kind & 2) box.mailbox.uidvalidity++;
    if (kind & 4) box.mailbox.uidnext = 1'000'000;
    if (kind & 8) box.keywords = {"one", "two"};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    log::set_fd(-1);
    if (size < 1) return 0;
    std::string_view state(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (auto uids = unpack_uids(state)) check(unpack_uids(pack_uids(*uids)) == uids);
    auto rested = parse_rested(state);
    if (!rested) return 0;
    check(ipc::encode(*rested) == state);
    if (rested->view && check_view(*rested->view) > kMaxExpanded) return 0;
    World world;
    fill(world, data[0]);
    auto [ours, theirs] = ipc::make_socket_pair();
    world.scope.spawn(world.go_on(std::move(*rested), std::move(theirs)));
    world.run(ours.get(), 60);
    if (world.session && !world.ended) {
        if (auto again = world.session->rest()) check(parse_rested(ipc::encode(*again)).has_value());
    }
    std::string_view commands = "DONE\r\na NOOP\r\nb UID FETCH 1:* (FLAGS MODSEQ)\r\nc FETCH $ UID\r\n";
    check(::send(ours.get(), commands.data(), commands.size(), MSG_NOSIGNAL) > 0 || world.ended);
    world.run(ours.get(), 200);
    ::shutdown(ours.get(), SHUT_WR);
    world.run(ours.get(), 20000);
    check(world.ended);  // a session whose client is gone ends
    world.scope.cancel();
    world.session.reset();
    return 0;
}
