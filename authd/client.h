// A process that asks authd: a front, or queued.
//
// What a login gives is decided by the role of who asks, which moxd set when it made the channel: the account channel
// is for imapd alone, whatever a message says.
#pragma once

#include <map>
#include <memory>

#include "authd/directory.h"
#include "authd/logins.h"
#include "common/ipc/role.h"

namespace mox::authd {

class Client {
  public:
    /// `directory` and `logins` outlive it.
    Client(const Directory& directory, Logins& logins, ipc::Role peer);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    /// Exchanges under way are noted as abandoned.
    ~Client() { abandon_all(); }
    void abandon_all();

    Result<proto::ResolvedAddress> on(proto::ResolveAddress m);
    Result<ipc::Done> on(proto::CheckSender m);
    async::Task<Result<proto::LoggedIn>> on(proto::LoginPlain m);
    async::Task<Result<proto::ScramChallenge>> on(proto::ScramStart m);
    async::Task<Result<proto::ScramDone>> on(proto::ScramFinish m);
    async::Task<Result<proto::LoggedIn>> on(proto::LoginExternal m);

  private:
    struct Exchange {
        proto::LoginContext context;
        std::unique_ptr<ScramServer> server;
        async::Clock::time_point until;
        int64_t began;  // Unix seconds
    };
    using Exchanges = std::map<uint64_t, Exchange>;
    Exchanges::iterator abandon(Exchanges::iterator exchange);

    const Directory& directory_;
    Logins& logins_;
    const proto::LoginProtocol protocol_;
    Exchanges exchanges_;
    uint64_t next_exchange_;
};

}  // namespace mox::authd
