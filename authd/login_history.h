// LoginHistory: the attempts to log in, on their way to storaged, which keeps them.
//
// Noting one costs the login that it speaks of nothing: it is merged in memory with those that are alike, and what has
// gathered is sent once a second. Bounded: kMaxWaiting different failures, and room for as many logins that succeeded,
// whatever storaged does; what is beyond is counted. An end of this process loses what waits, at most; nothing depends
// on it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "authd/directory.h"
#include "common/ipc/channel.h"
#include "proto/storage.h"

namespace mox::authd {

class LoginHistory {
  public:
    static constexpr size_t kMaxWaiting = 2000;

    /// Both outlive this.
    LoginHistory(const Directory& directory, ipc::Link& storage);

    /// An attempt that was answered just now, or began at that Unix second. `login` is as the client gave it; when it
    /// is no address of a domain here it is left out: it may be a password in the wrong place. Without an account it is
    /// of the one that the login leads to.
    void note(const proto::LoginContext& context, std::string_view login, proto::LoginResult result,
              std::string_view account = {}, std::optional<int64_t> when = {});
    /// Sends what waits; gives up when storaged does not answer soon.
    async::Task<void> flush();

    const std::map<std::string, proto::LoginAttempt>& waiting() const { return waiting_; }
    uint64_t left_out() const { return left_out_; }

  private:
    void merge(proto::LoginAttempt attempt);
    std::vector<proto::LoginAttempt> take();
    async::Task<void> send_regularly();
    async::Task<bool> send_some();
    const Directory& directory_;
    ipc::Link& storage_;
    std::map<std::string, proto::LoginAttempt> waiting_;  // by all that has to be alike
    uint64_t left_out_ = 0;
    async::Notify came_;
    async::Scope scope_;
};

}  // namespace mox::authd
