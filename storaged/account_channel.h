// AccountChannel: what storaged does for the worker of one account, see proto/account.h, or for moxctl's import and
// export, see proto/admin.h. The account is the channel's: no message says who asks.
//
// What names a mailbox of another account is carried out there in the name of the channel's account, which is a guest
// there: translated by carry_out(), the one way to another's store, and admitted by kGuestRules.
#pragma once

#include <map>

#include "common/ipc/channel.h"
#include "proto/account.h"
#include "proto/admin.h"
#include "storaged/account.h"
#include "storaged/spool.h"

namespace mox::storaged {

/// What someone else than the owner gets of messages.
void for_guests(const Account& owner, proto::MessageFiles& reply);

class AccountChannel {
  public:
    /// For a worker, or for the moxctl of an administrator, who may send other messages.
    AccountChannel(Engine& engine, Accounts& accounts, Account& account, Fd socket, ipc::Role peer);
    ~AccountChannel();

    const Account& account() const { return account_; }

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
    async::Task<Result<proto::AclEntries>> on(proto::GetAcl message);
    async::Task<Result<proto::Done>> on(proto::SetAcl message);
    async::Task<Result<proto::Rights>> on(proto::GetFixedRights message);
    async::Task<Result<proto::Rights>> on(proto::GetMyRights message);
    async::Task<Result<proto::Mailboxes>> on(proto::GetMailboxes message);
    async::Task<Result<proto::MailboxColumns>> on(proto::OpenMailbox message);
    async::Task<Result<proto::MailboxChanges>> on(proto::GetChanges message);
    async::Task<Result<proto::MessageInfos>> on(proto::FetchInfos message);
    async::Task<Result<proto::MessageFiles>> on(proto::OpenMessages message);
    async::Task<Result<proto::TextFound>> on(proto::FindText message);
    async::Task<Result<proto::Done>> on(proto::IndexWords message);
    async::Task<Result<proto::Done>> on(proto::DropIndex);
    async::Task<Result<proto::UnthreadedMessages>> on(proto::GetUnthreaded);
    async::Task<Result<proto::Done>> on(proto::AssignThreads message);
    async::Task<Result<proto::Threads>> on(proto::GetThreads message);
    async::Task<Result<proto::ThreadContents>> on(proto::FindThread message);
    async::Task<Result<proto::KnownRecipients>> on(proto::ListRecipients message);
    async::Task<Result<proto::UnlearnedMessages>> on(proto::GetUnlearned);
    async::Task<Result<proto::Done>> on(proto::LearnMessages message);
    async::Task<Result<proto::KnownSenders>> on(proto::ListSenders message);
    async::Task<Result<proto::SenderHistories>> on(proto::FindSender message);
    async::Task<Result<proto::SendersForgotten>> on(proto::ForgetSenders message);
    async::Task<Result<proto::JunkStatus>> on(proto::GetJunkStatus);
    async::Task<Result<proto::Done>> on(proto::ResetJunkWords message);
    async::Task<Result<proto::WebSessions>> on(proto::ListWebSessions);
    async::Task<Result<proto::Done>> on(proto::RemoveWebSessions message);
    async::Task<Result<proto::FlagsStored>> on(proto::StoreFlags message);
    async::Task<Result<proto::MessagesCopied>> on(proto::CopyMessages message);
    async::Task<Result<proto::MessagesCopied>> on(proto::MoveMessages message);
    async::Task<Result<proto::MessagesExpunged>> on(proto::Expunge message);
    async::Task<Result<proto::MessagesAppended>> on(proto::AppendMessages message);
    async::Task<Result<proto::MessagesImported>> on(proto::ImportMessages message);
    // url_tokens.cc
    async::Task<Result<proto::UrlToken>> on(proto::MakeUrlToken message);
    async::Task<Result<proto::Done>> on(proto::ResetUrlKeys message);
    async::Task<Result<proto::MessageFiles>> on(proto::OpenUrl message);

  private:
    /// Where a request is carried out, by the name, or id, that the mailbox has there.
    struct Place {
        std::shared_ptr<Account> account;
        std::string guest;  // who asks; empty: the owner
        NamedMailbox mailbox;
    };
    Result<Place> find_place(NamedMailbox mailbox);
    /// Another name in the same request; it must be of the same place.
    Result<void> localize(const Place& place, std::string& name);
    Result<void> localize_further(const Place& place, auto& message);
    void visit(Account& owner);
    template <class M, class F>
    async::Task<Result<typename M::Reply>> carry_out(Access access, M message, F work);
    async::Task<void> add_others(proto::MailboxList& list);
    bool may_fetch(const proto::AuthorizedUrl& url);
    async::Task<Result<proto::MessageFiles>> open_url(proto::OpenUrl message);
    Result<std::string> canonical_identifier(const std::string& mailbox, std::string_view identifier);
    async::Task<void> send_events();
    Engine& engine_;
    Accounts& accounts_;
    Account& account_;
    const ipc::Role peer_;
    std::map<uint64_t, std::weak_ptr<Account>> visited_;  // by number: that tell of their changes
    SpoolSet spools_;
    std::map<uint64_t, uint64_t> changed_;
    bool list_changed_ = false;
    bool learning_due_ = false;
    async::Notify events_;
    ipc::Channel channel_;
    async::Scope scope_;  // last: its task uses all of the above
};

}  // namespace mox::storaged
