// The HTTP front: takes listeners and certificates from moxd, accepts connections within bounds, serves each by a
// Session.
//
// It holds no key, no file and no data: TLS handshakes are signed by authd, metrics are asked of moxd.
#pragma once

#include <string>

#include "common/front/acceptor.h"
#include "common/process/process.h"
#include "common/tls/signer.h"
#include "httpd/session.h"

namespace mox::httpd {

class Httpd : public process::Common {
  public:
    explicit Httpd(process::Process& process);

    using Common::on;
    /// Replaces the listeners; connections that are open go on. Error bad_request when a certificate cannot be used.
    Result<ipc::Done> on(proto::ConfigureHttpd message);
    void on(proto::GiveSigner message);

  protected:
    std::string metrics() override;

  private:
    async::Task<void> session(front::Accepted connection);
    async::Task<Result<proto::AllMetrics>> ask_for_metrics();

    tls::RemoteSigner signer_{[this] { report_lost(ipc::Role::authd, proto::ChannelUse::signatures); }};
    RequestCounts counts_;
    size_t metrics_calls_ = 0;
    MetricsSource source_;
    front::Acceptor acceptor_;  // last: its sessions use all of the above
};

}  // namespace mox::httpd
