// Logins: who may have an account's channel.
//
// Wrong user and wrong password get the same answer after the same work. Failures are slowed down by Throttle. A
// password that was verified is remembered for a quarter of an hour as a keyed hash, so that clients that log in all
// the time do not cost Argon2 each time; a change of the stored credentials forgets it. Every attempt is noted in the
// history, by its outcome.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "authd/directory.h"
#include "authd/login_history.h"
#include "authd/scram.h"
#include "authd/throttle.h"
#include "common/async/worker_pool.h"
#include "common/ipc/channel.h"

namespace mox::authd {

class Logins {
  public:
    Logins(const Directory& directory, ipc::Link& storage, async::WorkerPool& pool);

    async::Task<Result<proto::LoggedIn>> plain(proto::LoginPlain request);
    /// Begins SCRAM; the ScramServer then belongs to the caller's channel.
    async::Task<Result<proto::ScramChallenge>> scram_start(proto::ScramStart request,
                                                           std::unique_ptr<ScramServer>& server);
    async::Task<Result<proto::ScramDone>> scram_finish(proto::LoginContext context, ScramServer& server,
                                                       std::string client_final);
    /// By the key of a client's certificate.
    async::Task<Result<proto::LoggedIn>> external(proto::LoginExternal request);
    /// The client began an exchange, at that Unix second, and did not finish it.
    void scram_abandoned(const proto::LoginContext& context, const ScramServer& server, int64_t began);
    async::Task<Result<ipc::Done>> set_password(proto::SetPassword request);

    /// What made-up SCRAM salts are derived from: the same over restarts.
    void set_secret(std::string secret) { secret_ = std::move(secret); }
    std::string metrics() const;
    LoginHistory& history() { return history_; }

  private:
    /// The credentials of a login name's account, or made-up ones with an empty account.
    struct Candidate {
        std::string account;
        proto::Credentials credentials;
    };
    std::optional<Error> refuse(const proto::LoginContext& context, std::string_view login);
    /// What a wrong password for this login name is: of an account, or of nobody.
    proto::LoginResult wrong_for(const std::string& login) const;
    async::Task<Result<Candidate>> find(std::string login);
    async::Task<bool> matches(Candidate candidate, std::string password);
    async::Task<Result<proto::LoggedIn>> succeed(proto::LoginContext context, std::string account, std::string login);
    async::Task<Error> fail(proto::LoginContext context, std::string account, std::string login,
                            proto::LoginResult result, std::string_view why);
    std::string remembered_key(const Candidate& candidate, std::string_view password) const;

    struct Remembered {
        std::string key;
        async::Clock::time_point until;
    };
    const Directory& directory_;
    ipc::Link& storage_;
    async::WorkerPool& pool_;
    Throttle throttle_;
    LoginHistory history_{directory_, storage_};
    std::string secret_;
    std::string cache_secret_;
    std::map<std::string, Remembered> remembered_;  // by account
    size_t waiting_ = 0;                            // failed logins whose answer waits
    uint64_t succeeded_ = 0, failed_ = 0, blocked_ = 0;
};

}  // namespace mox::authd
