// The connection to moxd's control socket: one call after the other, each with a deadline.
//
// Made when the first call needs it, so that help works without a server. moxctl has nothing else to do meanwhile, so
// calls block; but those whose answer brings a descriptor, which need an async::Loop.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

#include "common/ipc/blocking_call.h"
#include "proto/control.h"

namespace mox::moxctl {

/// moxd refused or could not; the text is moxd's own.
struct Failed : std::runtime_error {
    explicit Failed(Error e) : std::runtime_error(e.text), error(std::move(e)) {}
    Error error;
};

/// There is no moxd to talk to.
struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

constexpr std::chrono::seconds kCallLimit{25};
/// For what goes through the whole queue.
constexpr std::chrono::seconds kQueueLimit{65};

class Connection {
  public:
    explicit Connection(std::string socket_path) : path_(std::move(socket_path)) {}

    /// Asks moxd and returns its reply. Throws Failed or Unreachable.
    template <class M>
    typename M::Reply call(M message, std::chrono::milliseconds limit = kCallLimit) {
        connect();
        auto reply = ipc::blocking_call(socket_.get(), std::move(message), limit);
        if (!reply) fail(std::move(reply.error()));
        return std::move(*reply);
    }

    /// A channel to the mail of an account (proto/admin.h). Throws as call(). Needs a loop.
    Fd open_account(const std::string& account);
    /// The same to the store as a whole.
    Fd open_store();
    void close() { socket_.reset(); }

    /// Waits until moxd closed the connection; false when it did not in that time.
    bool wait_for_end(std::chrono::milliseconds limit);

  private:
    Fd open_channel(auto message);
    void connect();
    [[noreturn]] void fail(Error error);
    std::string path_;
    Fd socket_;
};

}  // namespace mox::moxctl
