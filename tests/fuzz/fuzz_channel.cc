// The frames of a channel, as a hostile peer would send them: every table of messages, each role. First byte: the
// table; second: the role; the rest: what arrives on the socket.
#include <cstddef>
#include <cstdint>
#include <sys/socket.h>

#include "common/ipc/channel.h"
#include "common/log/log.h"
#include "proto/account.h"
#include "proto/admin.h"
#include "proto/auth.h"
#include "proto/control.h"
#include "proto/dns.h"
#include "proto/storage.h"
#include "proto/supervise.h"

using namespace mox;

namespace {

struct AnyHandler {
    template <class M>
    auto on(M message) {
        std::string text;
        ipc::append_debug(text, message);
        if constexpr (!std::is_same_v<typename M::Reply, ipc::NoReply>)
            return Result<typename M::Reply>(temporary(ErrorCode::unavailable, "test"));
    }
};

template <class List>
void run(List list, ipc::Role role, const uint8_t* data, size_t size) {
    async::Loop loop;
    auto [here, there] = ipc::make_socket_pair();
    AnyHandler handler;
    ipc::Channel channel(std::move(there), {role, "peer"});
    channel.serve(list, handler);
    channel.start();
    size_t half = size / 2;
    send(here.get(), data, half, MSG_NOSIGNAL);
    event_base_loop(loop.base(), EVLOOP_NONBLOCK);
    send(here.get(), data + half, size - half, MSG_NOSIGNAL);
    for (int i = 0; i < 4; i++) event_base_loop(loop.base(), EVLOOP_NONBLOCK);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    log::set_fd(-1);
    if (size < 2) return 0;
    auto role = static_cast<ipc::Role>(data[1] % ipc::kRoleCount);
    const uint8_t* rest = data + 2;
    size -= 2;
    switch (data[0] % 11) {
        case 0:
            run(proto::StorageMessages{}, role, rest, size);
            break;
        case 1:
            run(proto::AccountMessages{}, role, rest, size);
            break;
        case 2:
            run(proto::AccountEventMessages{}, role, rest, size);
            break;
        case 3:
            run(proto::AuthMessages{}, role, rest, size);
            break;
        case 4:
            run(proto::DnsMessages{}, role, rest, size);
            break;
        case 5:
            run(proto::ControlMessages{}, role, rest, size);
            break;
        case 6:
            run(proto::ToMoxd{}, role, rest, size);
            break;
        case 8:
            run(proto::AdminAccountMessages{}, role, rest, size);
            break;
        case 10:
            run(proto::ToImapdWorker{}, role, rest, size);
            break;
        case 9:
            run(proto::StoreAdminMessages{}, role, rest, size);
            break;
        default:
            run(proto::ToAuthd{}, role, rest, size);
            break;
    }
    return 0;
}
