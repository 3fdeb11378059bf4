// smtpd: receives mail on port 25 and from the account's own programs (submission). It owns nothing but its sessions.
#pragma once

#include <string>

#include "common/front/acceptor.h"
#include "common/process/process.h"
#include "common/text/magic.h"
#include "common/tls/signer.h"
#include "proto/auth.h"
#include "proto/dns.h"
#include "proto/storage.h"

namespace mox::smtpd {

struct Counters {
    uint64_t connections = 0, starttls = 0, starttls_failed = 0;
    uint64_t delivered = 0, delivery_failed = 0, submitted = 0, submission_failed = 0;
    uint64_t unknown_recipients = 0, logins = 0, logins_failed = 0, bytes = 0;
};

class Smtpd : public process::Common {
  public:
    explicit Smtpd(process::Process& process);

    using Common::on;
    Result<ipc::Done> on(proto::ConfigureSmtpd config);
    void on(proto::GiveSigner message) { signer_.attach(std::move(message.channel)); }

    ipc::Link storage{ipc::Role::storaged};
    ipc::Link auth{ipc::Role::authd};
    ipc::Link dns{ipc::Role::dnsd};
    Counters counters;
    bool local_mode() const { return local_mode_; }
    bool stopping() const { return stopping_; }

  protected:
    void shut_down() override;
    std::string metrics() override;

  private:
    async::Task<void> end_when_quiet();
    tls::RemoteSigner signer_{[this] { report_lost(ipc::Role::authd, proto::ChannelUse::signatures); }};
    bool local_mode_ = false;
    bool stopping_ = false;
    front::Acceptor acceptor_;
    async::Scope scope_;
};

}  // namespace mox::smtpd
