#include "moxd/listeners.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <set>
#include <sys/socket.h>

namespace mox::moxd {
namespace {

constexpr int kBacklog = 511;

Result<Fd> bind_and_listen(const std::string& address, uint16_t port) {
    sockaddr_storage storage{};
    socklen_t size = 0;
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        size = sizeof v4;
    } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        size = sizeof v6;
    } else {
        return permanent(ErrorCode::bad_request, "not an address: " + address);
    }
    Fd socket(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return temporary(ErrorCode::io, fmt::format("cannot make a socket: {}", std::strerror(errno)));
    int on = 1;
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (storage.ss_family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 || ::listen(socket.get(), kBacklog) != 0)
        return temporary(ErrorCode::io,
                         fmt::format("cannot listen on {} port {}: {}", address, port, std::strerror(errno)));
    return socket;
}

}  // namespace

Result<ipc::Done> Listeners::update(const std::vector<Endpoint>& endpoints) {
    std::map<std::pair<std::string, uint16_t>, Fd> added;
    std::set<std::pair<std::string, uint16_t>> wanted;
    for (const auto& e : endpoints) {
        wanted.insert(e.key());
        if (sockets_.contains(e.key()) || added.contains(e.key())) continue;
        auto socket = bind_and_listen(e.address, e.port);
        if (!socket) return std::unexpected(std::move(socket.error()));
        added.emplace(e.key(), std::move(*socket));
    }
    std::erase_if(sockets_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    sockets_.merge(added);
    return ipc::Done{};
}

std::vector<proto::Listener> Listeners::for_role(const std::vector<Endpoint>& endpoints, ipc::Role role) const {
    std::vector<proto::Listener> result;
    for (const auto& e : endpoints) {
        if (e.role != role) continue;
        const auto& l = e.listener;
        result.push_back({l.service, l.name, l.hostname, l.tls, l.tls13_only, l.insecure_auth, l.require_starttls,
                          l.max_message_size, l.max_connections, l.max_connections_per_address, l.certificates,
                          Fd(fcntl(sockets_.at(e.key()).get(), F_DUPFD_CLOEXEC, 0)), l.unauthenticate,
                          l.message_limit});
    }
    return result;
}

}  // namespace mox::moxd
