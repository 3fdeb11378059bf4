// What a worker gives moxd when it sleeps, as one that was taken over would: frames on its channel, with descriptors of
// a session's beside some of them. First byte: how many; the rest: what arrives on the socket. Whatever comes, what is
// kept stays within its bounds and the counts are right.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <vector>

#include "common/ipc/channel.h"
#include "common/log/log.h"
#include "moxd/sleepers.h"

using namespace mox;
using namespace mox::moxd;

namespace {

void check(bool right) {
    if (!right) std::abort();
}

/// What moxd does with the messages, without the processes.
struct Keeper {
    Told told;
    Sleepers sleepers{[this](const std::string& account) { to_wake.push_back(account); }};
    std::vector<std::string> to_wake;

    void on(proto::RestSession session) { told.add(std::move(session)); }
    Result<ipc::Done> on(proto::Sleep sleep) {
        auto said = sleep.sessions;
        auto rested = told.take(std::move(sleep));
        check(told.rested().sessions.empty());
        if (!rested) return std::unexpected(std::move(rested.error()));
        check(rested->sessions.size() == said && said > 0 && said <= proto::kMaxRestedSessions);
        check(rested->account_channel.get() >= 0 && rested->wake_at <= async::in(std::chrono::hours(25)));
        for (const auto& session : rested->sessions)
            check(session.stream && session.state.size() <= proto::kMaxRestedState);
        sleepers.add("alice", std::move(*rested));
        return ipc::Done{};
    }
    void on(proto::StayAwake) { told.forget(); }
    Result<proto::AllMetrics> on(proto::GetAllMetrics) { return temporary(ErrorCode::unavailable, "test"); }
    Result<ipc::Done> on(proto::StartSession) { return temporary(ErrorCode::unavailable, "test"); }
    Result<ipc::Done> on(proto::Retire) { return ipc::Done{}; }
    void on(proto::PeerLost) {}
};

// Some bytes, with so many descriptors of the other ends of `clients` beside them.
void send_with(int fd, const uint8_t* data, size_t size, size_t count, std::vector<Fd>& clients) {
    if (size == 0) return;
    std::vector<Fd> ends;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)]{};
    iovec part{const_cast<uint8_t*>(data), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (size_t i = 0; i < count; i++) {
            auto [here, there] = ipc::make_socket_pair();
            int end = there.get();
            std::memcpy(CMSG_DATA(c) + i * sizeof end, &end, sizeof end);
            clients.push_back(std::move(here));
            ends.push_back(std::move(there));
        }
    }
    ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    log::set_fd(-1);
    if (size < 2) return 0;
    async::Loop loop;
    auto settle = [&] {
        for (int i = 0; i < 6; i++) event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    };
    std::vector<Fd> clients;
    Keeper keeper;
    auto [here, there] = ipc::make_socket_pair();
    ipc::Channel channel(std::move(there), {ipc::Role::imapd_worker, "worker"});
    channel.serve(proto::ToMoxd{}, keeper);
    channel.start();
    size_t half = 1 + (size - 1) / 2;
    send_with(here.get(), data + 1, half - 1, data[0] % 16, clients);
    settle();
    send_with(here.get(), data + half, size - half, data[0] / 16, clients);
    settle();
    auto sessions = keeper.sleepers.sessions();
    check(keeper.sleepers.accounts() <= 1 && sessions <= proto::kMaxRestedSessions);
    // Some of the clients leave, one says something; all the others hear of the end.
    for (size_t i = 0; i + 1 < clients.size(); i += 2) clients[i].reset();
    if (!clients.empty()) ::send(clients.back().get(), "x", 1, MSG_NOSIGNAL);
    settle();
    check(keeper.sleepers.sessions() <= sessions && keeper.to_wake.size() <= 1);
    if (auto rested = keeper.sleepers.take("alice")) keeper.sleepers.add("alice", std::move(*rested));
    keeper.sleepers.end_all("over");
    check(keeper.sleepers.accounts() + keeper.sleepers.sessions() + keeper.sleepers.bytes() == 0);
    return 0;
}
