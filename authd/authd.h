// authd: the directory, logins and private keys, for the processes that face the network.
#pragma once

#include <map>
#include <memory>

#include "authd/logins.h"
#include "common/process/process.h"
#include "common/tls/key_store.h"

namespace mox::authd {

class Authd : public process::Common {
  public:
    explicit Authd(process::Process& process);

    using Common::on;
    Result<ipc::Done> on(proto::ConfigureAuthd config);
    void on(proto::GiveSignClient message);
    async::Task<Result<ipc::Done>> on(proto::SetPassword m) { return logins_.set_password(std::move(m)); }
    async::Task<Result<proto::OwnedClientKey>> on(proto::AddCertificate m);
    async::Task<Result<proto::OwnedClientKeys>> on(proto::ListCertificates m);
    async::Task<Result<ipc::Done>> on(proto::RemoveCertificate m);

  protected:
    std::string metrics() override;
    /// The history of logins goes to storaged first.
    void shut_down() override { scope_.spawn(end()); }

  private:
    async::Task<void> end();
    /// A front or queued that asks.
    struct Client {
        explicit Client(Authd& a) : authd(a) {}
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;
        ~Client() { abandon_all(); }
        Authd& authd;
        struct Exchange {
            proto::LoginContext context;
            std::unique_ptr<ScramServer> server;
            async::Clock::time_point until;
            int64_t began;  // Unix seconds
        };
        using Exchanges = std::map<uint64_t, Exchange>;
        Exchanges exchanges;
        uint64_t next_exchange = log::new_cid();  // not that of an authd before this

        Exchanges::iterator abandon(Exchanges::iterator exchange);
        void abandon_all();

        Result<proto::ResolvedAddress> on(proto::ResolveAddress m);
        Result<ipc::Done> on(proto::CheckSender m);
        async::Task<Result<proto::LoggedIn>> on(proto::LoginPlain m);
        async::Task<Result<proto::ScramChallenge>> on(proto::ScramStart m);
        async::Task<Result<proto::ScramDone>> on(proto::ScramFinish m);
        async::Task<Result<proto::LoggedIn>> on(proto::LoginExternal m);
    };
    /// A front whose handshakes are signed: nothing else is answered on its channel.
    struct SignClient {
        Authd& authd;
        Result<proto::Signature> on(proto::SignTls m);
    };

    Directory directory_;
    tls::KeyStore keys_;
    uint64_t signatures_ = 0;
    ipc::Link storage_{ipc::Role::storaged};
    async::LoopMailbox mailbox_;
    async::WorkerPool pool_;
    Logins logins_;
    process::Served<Client> clients_;
    process::Served<SignClient> sign_clients_;
    async::Scope scope_;
};

}  // namespace mox::authd
