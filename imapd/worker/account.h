// The account a worker serves: its channel to storaged, shared by all sessions, and the news that come over it.
//
// The first channel handed over with a session becomes the account's, once it has said that it is for the account this
// worker was made for; those of later sessions are asked the same and then closed. When the channel is lost every
// session is told to end. Sessions register as observers for as long as they live.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "common/async/loop.h"
#include "common/ipc/channel.h"
#include "proto/account.h"

namespace mox::imapd {

/// How long a storage call may take before the command fails.
constexpr async::Clock::duration kStorageLimit = std::chrono::minutes(2);

/// What a session wants to hear.
class AccountObserver {
  public:
    virtual ~AccountObserver() = default;
    virtual void mailbox_changed(proto::MailboxId mailbox, uint64_t highest_modseq) = 0;
    virtual void mailbox_list_changed() = 0;
    /// Annotations of a mailbox, or with an empty name of the account, were set by another session.
    virtual void metadata_changed(const std::string& mailbox, const std::vector<std::string>& names) = 0;
    /// Another session voided the authorized URLs of a mailbox, or with an empty name of all (RFC 4467 7 RESETKEY).
    virtual void url_keys_reset(const std::string& mailbox) = 0;
    /// Another session renamed INBOX to this.
    virtual void inbox_renamed(const std::string& to) = 0;
    virtual void account_lost() = 0;
};

class Account {
  public:
    explicit Account(std::string name) : name_(std::move(name)) {}
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    const std::string& name() const { return name_; }

    /// Asks a new channel which account it is for, and keeps it when there is none yet. Error denied when it is
    /// another's.
    async::Task<Result<ipc::Done>> admit(Fd channel);

    bool connected() const;
    /// Takes the channel that a worker of this account had before it slept, once storaged has said again whose it is.
    async::Task<Result<ipc::Done>> resume(Fd channel);
    /// The channel once more, when nothing is under way on it; else not valid.
    Fd duplicate_channel() const;
    /// Grows with everything that storaged said.
    uint64_t events() const { return events_; }

    template <class M>
    async::Task<Result<typename M::Reply>> call(M message, async::Clock::duration limit = kStorageLimit) {
        auto connection = connection_;  // lives as long as the call
        if (connection == nullptr || connection->channel.lost())
            co_return temporary(ErrorCode::channel_lost, "the mail storage is not available");
        co_return co_await connection->channel.call(std::move(message), async::in(limit));
    }
    template <class M>
    void send(M message) {
        if (connection_ != nullptr) connection_->channel.send(std::move(message));
    }

    void add(AccountObserver& observer) { observers_.insert(&observer); }
    void remove(AccountObserver& observer) { observers_.erase(&observer); }
    /// A session changed this mailbox: the others look at once, whatever order the events come in.
    void touch(proto::MailboxId mailbox, const AccountObserver* except);
    /// Whether a mailbox was there when last looked, so that an APPEND need not look again; storaged has the last word.
    bool remembers(const std::string& mailbox) const { return known_.contains(mailbox); }
    void remember(const proto::MailboxList& list);
    /// A session set annotations. All who do are sessions of this worker, so nobody else need tell.
    void touch_metadata(const std::string& mailbox, const std::vector<std::string>& names,
                        const AccountObserver* except);
    void touch_url_keys(const std::string& mailbox, const AccountObserver* except);
    void touch_inbox_renamed(const std::string& to, const AccountObserver* except);
    void close();

  private:
    struct Connection {
        Connection(Account& account, Fd socket);
        void on(proto::AccountOpened message);
        void on(proto::MailboxChanged message);
        void on(proto::MailboxListChanged);
        void on(proto::LearningDue);

        Account& account;
        std::string opened;  // what the channel says it is for
        bool learning_due = false;
        async::Notify arrived;
        ipc::Channel channel;
    };
    Result<ipc::Done> take(std::shared_ptr<Connection> connection, const std::string& account);
    void notify(proto::MailboxId mailbox, uint64_t highest_modseq, const AccountObserver* except);
    async::Task<void> watch(std::shared_ptr<Connection> connection);
    void learn_if_due();
    async::Task<void> learn();

    std::string name_;
    std::shared_ptr<Connection> connection_;
    uint64_t events_ = 0;
    std::set<AccountObserver*> observers_;
    std::set<std::string> known_;  // names of mailboxes, until the list changes
    bool learning_ = false;
    async::Scope scope_;
};

}  // namespace mox::imapd
