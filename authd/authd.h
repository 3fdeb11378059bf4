// authd: the directory, logins and private keys, for the processes that face the network.
#pragma once

#include "authd/client.h"
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
