#include "queued/connect.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace mox::queued {
namespace {

struct Endpoint {
    sockaddr_storage storage{};
    socklen_t size = 0;
    int family() const { return storage.ss_family; }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// With size 0 when the text is no address.
Endpoint parse(const std::string& address, uint16_t port) {
    Endpoint out;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        out.size = sizeof v4;
        std::memcpy(&out.storage, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        out.size = sizeof v6;
        std::memcpy(&out.storage, &v6, sizeof v6);
    }
    return out;
}

std::unexpected<Error> failed(int error) {
    return temporary(ErrorCode::unavailable, std::strerror(error));
}

}  // namespace

async::Task<Result<Fd>> connect_tcp(std::string address, uint16_t port, std::vector<std::string> sources,
                                    async::Deadline deadline) {
    Endpoint to = parse(address, port);
    if (to.size == 0) co_return temporary(ErrorCode::bad_request, "not an address");
    Fd socket(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) co_return failed(errno);
    // Commands and content are written whole: holding back the rest until the peer has acknowledged costs 40 ms each.
    int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (const auto& source : sources) {
        Endpoint from = parse(source, 0);
        if (from.size == 0 || from.family() != to.family()) continue;
        if (::bind(socket.get(), from.get(), from.size) != 0) co_return failed(errno);
        break;
    }
    if (::connect(socket.get(), to.get(), to.size) != 0) {
        if (errno != EINPROGRESS) co_return failed(errno);
        bool late = false;
        try {
            co_await async::writable(socket.get(), deadline);
        } catch (const async::DeadlinePassed&) {
            late = true;
        }
        if (late) co_return temporary(ErrorCode::timeout, "no answer in time");
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) co_return failed(errno);
        if (error != 0) co_return failed(error);
    }
    co_return socket;
}

}  // namespace mox::queued
