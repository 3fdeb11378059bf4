#include "moxctl/connection.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/ipc/channel.h"
#include "moxctl/account_link.h"

namespace mox::moxctl {
namespace {

constexpr std::chrono::seconds kConnectLimit{5};

[[noreturn]] void unreachable(const std::string& path, int error) {
    if (error == EACCES || error == EPERM)
        throw Unreachable(fmt::format(
            "no permission to use the control socket {}: become root, or the user that started moxd", path));
    throw Unreachable(
        fmt::format("no moxd at the control socket {} ({}): start it with \"moxd\" or \"systemctl start mox\", or name "
                    "its socket with -s or -d",
                    path, std::strerror(error)));
}

}  // namespace

void Connection::connect() {
    if (socket_) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) unreachable(path_, ENAMETOOLONG);
    std::memcpy(address.sun_path, path_.data(), path_.size());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) unreachable(path_, errno);
    // Bounds the wait when moxd does not accept.
    timeval limit{kConnectLimit.count(), 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        unreachable(path_, errno == EAGAIN ? ETIMEDOUT : errno);
    if (fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) unreachable(path_, errno);
    socket_ = std::move(socket);
}

void Connection::fail(Error error) {
    if (error.code == ErrorCode::channel_lost) {
        // What comes later on this socket would be taken for the next answer.
        socket_.reset();
        error.text = fmt::format("moxd at the control socket {}: {}", path_, error.text);
    }
    throw Failed(std::move(error));
}

namespace {

template <class M>
async::Task<void> ask_for_channel(ipc::Channel& moxd, M message, Result<typename M::Reply>& answer) {
    answer = co_await moxd.call(std::move(message), async::in(kCallLimit));
}

}  // namespace

Fd Connection::open_channel(auto message) {
    connect();
    ipc::Channel moxd(std::move(socket_), {ipc::Role::moxd, "moxd"});
    moxd.start();
    Result<typename decltype(message)::Reply> answer = temporary(ErrorCode::internal, "no answer");
    run_to_end(ask_for_channel(moxd, std::move(message), answer));
    if (!answer) fail(std::move(answer.error()));
    return std::move(answer->channel);
}

Fd Connection::open_account(const std::string& account) {
    return open_channel(proto::CtlOpenAccount{account});
}

Fd Connection::open_store() {
    return open_channel(proto::CtlOpenStore{});
}

bool Connection::wait_for_end(std::chrono::milliseconds limit) {
    pollfd p{socket_.get(), POLLIN, 0};
    return ::poll(&p, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace mox::moxctl
