// What every process that serves the network has: listening sockets handed over by moxd, connections accepted within
// bounds, a session task for each.
//
// A connection over a bound is told so in the protocol's words and closed. A reload hands over the whole set of
// listeners anew; connections of the old set go on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/async/stream.h"
#include "common/tls/context.h"
#include "proto/supervise.h"

namespace mox::front {

/// A listening socket with what it serves. Sessions keep theirs alive.
struct ListenerState {
    proto::Listener config;
    std::shared_ptr<tls::ServerContext> tls;  // absent without TLS
    size_t connections = 0;
};

/// A connection that was let in.
struct Accepted {
    Fd socket;
    std::string remote_address;  // textual, without port
    std::string local_address;
    uint64_t cid;
    std::shared_ptr<ListenerState> listener;
};

/// Why a connection was not let in.
enum class Refusal : uint8_t { too_many_connections, too_many_from_address, shutting_down };

class Acceptor {
  public:
    using Session = std::function<async::Task<void>(Accepted)>;
    /// The line that a refused client gets before the close, with its CRLF; empty for none (TLS from the first byte).
    using RefusalText = std::function<std::string(const ListenerState&, Refusal)>;

    Acceptor(Session session, RefusalText refusal_text);

    /// Replaces the set of listeners. Error bad_request when a certificate cannot be used; the old set then stays.
    Result<ipc::Done> configure(std::vector<proto::Listener> listeners,
                                const std::vector<proto::Certificate>& certificates);
    /// Closes the listening sockets; sessions go on.
    void stop_accepting();
    size_t connections() const { return sessions_.size(); }
    uint64_t accepted() const { return accepted_; }
    uint64_t refused() const { return refused_; }
    async::Scope& sessions() { return sessions_; }

  private:
    async::Task<void> accept_loop(std::shared_ptr<ListenerState> listener);
    async::Task<void> run(Accepted connection);
    void refuse(Fd socket, const ListenerState& listener, Refusal reason);
    void admit(Fd socket, std::string remote, std::string local, std::shared_ptr<ListenerState> listener);

    Session session_;
    RefusalText refusal_text_;
    std::map<std::string, size_t> by_address_;
    uint64_t accepted_ = 0;
    uint64_t refused_ = 0;
    async::Scope sessions_;
    std::unique_ptr<async::Scope> listening_;
};

/// The textual address of a socket's end: "192.0.2.1", "2001:db8::1"; IPv4 in IPv6 is shown as IPv4.
std::string remote_address(int socket);
std::string local_address(int socket);

}  // namespace mox::front
