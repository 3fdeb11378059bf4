// AccountChannel: what storaged does for the worker of one account, see proto/account.h, or for moxctl's import and
// export, see proto/admin.h. The account is the channel's: no message names one.
#pragma once

#include <map>

#include "common/ipc/channel.h"
#include "proto/account.h"
#include "proto/admin.h"
#include "storaged/account.h"
#include "storaged/spool.h"

namespace mox::storaged {

class AccountChannel {
  public:
    /// For a worker, or for the moxctl of an administrator, who may send other messages.
    AccountChannel(Engine& engine, Account& account, Fd socket, ipc::Role peer);

    ipc::Channel& channel() { return channel_; }
    /// Notes what changed; sent when the worker has taken what was sent before, so that a slow one costs nothing.
    void tell(const Effects& effects);

    Result<proto::AccountIdentity> on(proto::AskAccount);
    async::Task<Result<proto::SpoolFile>> on(proto::CreateSpool) { return spools_.create(); }
    void on(proto::DropSpool message) { spools_.drop(message.spool); }
    async::Task<Result<proto::MailboxList>> on(proto::ListMailboxes);
    async::Task<Result<proto::CreatedMailboxes>> on(proto::CreateMailbox message);
    async::Task<Result<proto::Done>> on(proto::DeleteMailbox message);
    async::Task<Result<proto::Done>> on(proto::RenameMailbox message);
    async::Task<Result<proto::Done>> on(proto::Subscribe message);
    async::Task<Result<proto::QuotaUse>> on(proto::GetQuota);
    async::Task<Result<proto::MetadataEntries>> on(proto::GetMetadata message);
    async::Task<Result<proto::Done>> on(proto::SetMetadata message);
    async::Task<Result<proto::Mailboxes>> on(proto::GetMailboxes message);
    async::Task<Result<proto::MailboxColumns>> on(proto::OpenMailbox message);
    async::Task<Result<proto::MailboxChanges>> on(proto::GetChanges message);
    async::Task<Result<proto::MessageInfos>> on(proto::FetchInfos message);
    async::Task<Result<proto::MessageFiles>> on(proto::OpenMessages message);
    async::Task<Result<proto::TextFound>> on(proto::FindText message);
    async::Task<Result<proto::Done>> on(proto::IndexWords message);
    async::Task<Result<proto::Done>> on(proto::DropIndex);
    async::Task<Result<proto::FlagsStored>> on(proto::StoreFlags message);
    async::Task<Result<proto::MessagesCopied>> on(proto::CopyMessages message);
    async::Task<Result<proto::MessagesCopied>> on(proto::MoveMessages message);
    async::Task<Result<proto::MessagesExpunged>> on(proto::Expunge message);
    async::Task<Result<proto::MessagesAppended>> on(proto::AppendMessages message);
    async::Task<Result<proto::MessagesImported>> on(proto::ImportMessages message);

  private:
    async::Task<void> send_events();
    Engine& engine_;
    Account& account_;
    SpoolSet spools_;
    std::map<uint64_t, uint64_t> changed_;
    bool list_changed_ = false;
    async::Notify events_;
    ipc::Channel channel_;
    async::Scope scope_;  // last: its task uses all of the above
};

}  // namespace mox::storaged
