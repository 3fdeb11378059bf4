#include "common/front/acceptor.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/log/log.h"
#include "common/text/network.h"

namespace mox::front {
namespace {

std::string to_text(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
    } else if (address.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6))
            inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
        else
            inet_ntop(AF_INET6, &v6, text, sizeof text);
    }
    return text;
}

// Where a client's certificate can be its login.
bool has_logins(proto::Service service) {
    using enum proto::Service;
    return service == submission || service == submissions || service == imap || service == imaps;
}

}  // namespace

std::string remote_address(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size);
    return to_text(address);
}

std::string local_address(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    return to_text(address);
}

Acceptor::Acceptor(Session session, RefusalText refusal_text)
    : session_(std::move(session)), refusal_text_(std::move(refusal_text)), listening_(new async::Scope) {}

Result<ipc::Done> Acceptor::configure(std::vector<proto::Listener> listeners,
                                      const std::vector<proto::Certificate>& certificates) {
    std::vector<std::shared_ptr<ListenerState>> states;
    for (auto& config : listeners) {
        auto state = std::make_shared<ListenerState>();
        if (config.tls != proto::TlsMode::none) {
            std::vector<std::string> chains;
            for (uint32_t index : config.certificates) {
                if (index >= certificates.size()) return permanent(ErrorCode::bad_request, "no such certificate");
                chains.push_back(certificates[index].chain_pem);
            }
            auto context = tls::ServerContext::make(
                chains, config.tls13_only ? tls::Oldest::tls13 : tls::Oldest::tls12,
                has_logins(config.service) ? tls::ClientCertificates::asked : tls::ClientCertificates::not_asked);
            if (!context) return std::unexpected(std::move(context.error()));
            state->tls = std::move(*context);
        }
        state->config = std::move(config);
        states.push_back(std::move(state));
    }
    listening_ = std::make_unique<async::Scope>();
    for (auto& state : states) listening_->spawn(accept_loop(std::move(state)));
    return ipc::Done{};
}

void Acceptor::stop_accepting() {
    listening_ = std::make_unique<async::Scope>();
}

async::Task<void> Acceptor::accept_loop(std::shared_ptr<ListenerState> listener) {
    for (;;) {
        co_await async::readable(listener->config.socket.get(), async::kNever);
        // A few at a time, so that a flood of connections leaves room for those that are in.
        for (int i = 0; i < 64; i++) {
            sockaddr_storage address{};
            socklen_t size = sizeof address;
            Fd socket(accept4(listener->config.socket.get(), reinterpret_cast<sockaddr*>(&address), &size,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (socket) {
                std::string local = local_address(socket.get());
                admit(std::move(socket), to_text(address), std::move(local), listener);
                continue;
            }
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log::error("cannot accept connections", {{"error", std::strerror(errno)}});
                co_await async::sleep_for(std::chrono::seconds(1));
            }
            break;
        }
    }
}

void Acceptor::admit(Fd socket, std::string remote, std::string local, std::shared_ptr<ListenerState> listener) {
    const auto& config = listener->config;
    if (listener->connections >= config.max_connections)
        return refuse(std::move(socket), *listener, Refusal::too_many_connections);
    if (auto found = by_address_.find(text::network_of(remote));
        found != by_address_.end() && found->second >= config.max_connections_per_address)
        return refuse(std::move(socket), *listener, Refusal::too_many_from_address);
    accepted_++;
    int on = 1;
    // Replies are written whole; waiting for more to send only delays them.
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    sessions_.spawn(run({std::move(socket), std::move(remote), std::move(local), log::new_cid(), std::move(listener)}));
}

async::Task<void> Acceptor::run(Accepted connection) {
    struct Counted {
        Acceptor& acceptor;
        std::shared_ptr<ListenerState> listener;
        std::string address;
        Counted(Acceptor& a, std::shared_ptr<ListenerState> l, std::string addr)
            : acceptor(a), listener(std::move(l)), address(std::move(addr)) {
            listener->connections++;
            acceptor.by_address_[address]++;
        }
        ~Counted() {
            listener->connections--;
            auto found = acceptor.by_address_.find(address);
            if (--found->second == 0) acceptor.by_address_.erase(found);
        }
    } counted(*this, connection.listener, text::network_of(connection.remote_address));
    co_await session_(std::move(connection));
}

void Acceptor::refuse(Fd socket, const ListenerState& listener, Refusal reason) {
    refused_++;
    log::info(
        "connection refused",
        {{"listener", listener.config.name},
         {"remote", remote_address(socket.get())},
         {"reason", reason == Refusal::too_many_connections ? "too many connections" : "too many from this address"}});
    std::string text = refusal_text_(listener, reason);
    [[maybe_unused]] ssize_t n = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace mox::front
