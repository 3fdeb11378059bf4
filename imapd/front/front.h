// The IMAP front: accepts, and gives each connection its session; the calls to authd and moxd.
#pragma once

#include "common/front/acceptor.h"
#include "common/process/process.h"
#include "common/tls/signer.h"
#include "imapd/front/session.h"

namespace mox::imapd {

class Front : public process::Common, private Services {
  public:
    explicit Front(process::Process& process);

    Result<proto::Done> on(proto::ConfigureImapd message);
    void on(proto::GiveSigner message) { signer_.attach(std::move(message.channel)); }
    using Common::on;

  protected:
    void shut_down() override;
    std::string metrics() override;

  private:
    async::Task<Result<proto::LoggedIn>> login(proto::LoginPlain request) override;
    async::Task<Result<proto::ScramChallenge>> scram_start(proto::ScramStart request) override;
    async::Task<Result<proto::ScramDone>> scram_finish(proto::ScramFinish request) override;
    async::Task<Result<proto::LoggedIn>> login_external(proto::LoginExternal request) override;
    async::Task<Result<proto::Done>> start_session(proto::StartSession request) override;
    async::Task<void> serve(front::Accepted accepted);
    async::Task<void> end_soon();

    tls::RemoteSigner signer_{[this] { report_lost(ipc::Role::authd, proto::ChannelUse::signatures); }};
    ipc::Link authd_{ipc::Role::authd};
    FrontCounters counters_;
    front::Acceptor acceptor_;
    async::Scope scope_;
};

}  // namespace mox::imapd
