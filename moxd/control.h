// The control socket: what an admin's moxctl may ask, each request checked and answered.
//
// Whoever may open the socket and has the user id of moxd or root is trusted to administer the suite. Changes of
// domains and accounts are edits of domains.conf: the new text is validated as a whole, written durably, then put in
// force.
#pragma once

#include <functional>
#include <string>

#include "common/process/process.h"
#include "moxd/supervisor.h"

namespace mox::moxd {

class Control {
  public:
    /// `stop` is called when an admin asks for the end.
    Control(Supervisor& supervisor, std::function<void()> stop);
    ~Control();

    /// Binds the socket; a stale one is replaced, one that answers means that moxd runs already.
    Result<ipc::Done> listen(const std::string& path);

    async::Task<Result<proto::SuiteStatus>> on(proto::CtlStatus);
    Result<ipc::Done> on(proto::CtlStop);
    async::Task<Result<ipc::Done>> on(proto::CtlReload);
    Result<ipc::Done> on(proto::CtlRestart m);
    Result<ipc::Done> on(proto::CtlLog m);
    async::Task<Result<ipc::Done>> on(proto::CtlAccountAdd m);
    async::Task<Result<ipc::Done>> on(proto::CtlAccountRemove m);
    Result<proto::AccountSummaries> on(proto::CtlAccountList);
    async::Task<Result<ipc::Done>> on(proto::CtlPassword m);
    async::Task<Result<proto::OwnedClientKey>> on(proto::CtlCertificateAdd m);
    async::Task<Result<proto::OwnedClientKeys>> on(proto::CtlCertificateList m);
    async::Task<Result<ipc::Done>> on(proto::CtlCertificateRemove m);
    async::Task<Result<ipc::Done>> on(proto::CtlAddressAdd m);
    async::Task<Result<ipc::Done>> on(proto::CtlAddressRemove m);
    async::Task<Result<ipc::Done>> on(proto::CtlDomainAdd m);
    async::Task<Result<ipc::Done>> on(proto::CtlDomainRemove m);
    Result<proto::DomainSummaries> on(proto::CtlDomainList);
    async::Task<Result<proto::QueueListing>> on(proto::CtlQueueList m);
    async::Task<Result<proto::QueueAffected>> on(proto::CtlQueueKick m);
    async::Task<Result<proto::QueueAffected>> on(proto::CtlQueueDrop m);
    async::Task<Result<proto::AccountChannel>> on(proto::CtlOpenAccount m);
    async::Task<Result<proto::StoreChannel>> on(proto::CtlOpenStore);

    async::Task<Result<ipc::Done>> set_password(std::string account, ipc::Secret password);

  private:
    /// One connected moxctl: passes everything on to Control.
    struct Session {
        Control& control;
        template <class M>
        auto on(M message) {
            return control.on(std::move(message));
        }
    };
    async::Task<void> accept_loop();
    async::Task<Result<ipc::Done>> put_in_force(Result<std::string> domains_text);
    Result<config::Address> parse_address(const std::string& text) const;
    bool has_account(const std::string& name) const;

    Supervisor& supervisor_;
    std::function<void()> stop_;
    Fd socket_;
    std::string path_;
    process::Served<Session> sessions_;
    async::Scope scope_;
};

}  // namespace mox::moxd
