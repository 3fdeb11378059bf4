// AccountLink and StoreLink: moxctl's ends of the channels to the mail of one account, and to the store
// (proto/admin.h).
#pragma once

#include <chrono>
#include <string>

#include "common/ipc/channel.h"
#include "moxctl/connection.h"
#include "proto/admin.h"

namespace mox::moxctl {

class AccountLink {
  public:
    explicit AccountLink(Fd socket) : channel_(std::move(socket), {ipc::Role::storaged, "storaged"}) {
        channel_.serve(proto::AccountEventMessages{}, events_);
        channel_.start();
    }

    /// As a Link's, for incoming::Content.
    template <class M>
    async::Task<Result<typename M::Reply>> call(M message, async::Clock::duration limit) {
        return channel_.call(std::move(message), async::in(limit));
    }
    template <class M>
    void send(M message) {
        channel_.send(std::move(message));
    }
    /// The reply, or Failed. Deadline: long enough for a disk that is busy.
    template <class M>
    async::Task<typename M::Reply> ask(M message) {
        auto reply = co_await call(std::move(message), std::chrono::minutes(5));
        if (!reply) throw Failed(std::move(reply.error()));
        co_return std::move(*reply);
    }

  private:
    /// What a worker would tell its clients.
    struct Events {
        void on(const proto::AccountOpened&) {}
        void on(const proto::MailboxChanged&) {}
        void on(const proto::MailboxListChanged&) {}
        void on(const proto::LearningDue&) {}
    };
    Events events_;
    ipc::Channel channel_;
};

/// moxctl's end of the channel to the store as a whole.
class StoreLink {
  public:
    explicit StoreLink(Fd socket) : channel_(std::move(socket), {ipc::Role::storaged, "storaged"}) { channel_.start(); }

    /// The reply, or Failed. Checking and copying a large store takes its time.
    template <class M>
    async::Task<typename M::Reply> ask(M message) {
        auto reply = co_await channel_.call(std::move(message), async::in(std::chrono::hours(1)));
        if (!reply) throw Failed(std::move(reply.error()));
        co_return std::move(*reply);
    }
    template <class M>
    void send(M message) {
        channel_.send(std::move(message));
    }

  private:
    ipc::Channel channel_;
};

/// Runs a task in the loop of this thread until it is done; what it throws is thrown here.
void run_to_end(async::Task<void> task);

}  // namespace mox::moxctl
