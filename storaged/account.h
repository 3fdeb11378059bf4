// Account: one account's store on its strand, and the channels through which its workers use it.
//
// Lives in the loop. Accounts owns all of them: an account exists while the configuration names it; its database is
// opened on demand and closed when it has been idle, or when too many are open.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "proto/admin.h"
#include "proto/supervise.h"
#include "storaged/guest_rules.h"
#include "storaged/mail_store.h"
#include "storaged/strand.h"

namespace mox::storaged {

class AccountChannel;
class Accounts;

class Account : public std::enable_shared_from_this<Account> {
  public:
    /// `number` is this account's alone as long as this process lives, and not 0.
    Account(Engine& engine, Accounts& accounts, std::string name, uint64_t number);
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    const std::string& name() const { return name_; }
    uint64_t number() const { return number_; }
    void configure(const proto::ConfigureStoraged::Account& config);
    using Expiries = std::vector<proto::ConfigureStoraged::Expiry>;
    const Expiries& expiries() const { return expiries_; }
    /// When the next message may expire, Unix seconds; 0: not known.
    int64_t next_expiry() const { return next_expiry_; }
    void set_next_expiry(int64_t when) { next_expiry_ = when; }
    /// Whether what it uses is counted.
    bool was_opened() const { return was_opened_; }
    /// It is no longer there, or is another one when it is opened again.
    void forget_use();

    /// An operation on the store, see Strand::run. What is named in `work` must be owned by it.
    template <class F>
    auto run(Access access, F work) {
        last_use_ = async::Clock::now();
        was_opened_ = true;
        return strand_->run<MailStore>(access, std::move(work));
    }

    /// The same for an account that is a guest here, once the message is admitted by its row in kGuestRules; for the
    /// owner, `guest` is empty. The message names its mailbox as this account does.
    template <class M, class F>
    auto run_for(std::string guest, Access access, const M& message, F work) {
        return run(access,
                   [guest = std::move(guest), named = named_mailbox(message),
                    work = std::move(work)](MailStore& store) mutable -> std::invoke_result_t<F&, MailStore&> {
                       if (guest.empty()) return work(store);
                       MailStore::Asker asker(store, guest);
                       if (auto admitted = store.admit(guest_rule<M>(), named); !admitted)
                           return std::unexpected(std::move(admitted.error()));
                       return work(store);
                   });
    }

    // ---- the keys of TLS clients that log in as it (client_keys.cc)

    using ClientKeys = std::vector<proto::ClientKey>;
    /// nullptr: not known.
    const std::shared_ptr<const ClientKeys>& client_keys() const { return client_keys_; }
    /// Not known, and not found to be unreadable a while ago.
    bool has_unread_client_keys() const {
        return client_keys_ == nullptr && async::Clock::now() >= client_keys_unreadable_until_;
    }
    /// Another one after each forget_client_keys().
    uint64_t client_keys_version() const { return client_keys_version_; }
    /// It has none.
    void set_no_client_keys() { client_keys_ = std::make_shared<const ClientKeys>(); }
    /// Call before they change: they are loaded anew, behind the change.
    void forget_client_keys() {
        client_keys_.reset();
        client_keys_version_++;
        client_keys_unreadable_until_ = {};
    }
    /// What fails is not tried again for a while.
    async::Task<Result<proto::Done>> load_client_keys();

    // ---- sessions in a browser (web_sessions.cc)

    bool may_log_in() const { return logins_ == proto::Logins::allowed; }
    /// It may not log in, and may have sessions from before.
    bool has_web_sessions_to_end() const { return !may_log_in() && !web_sessions_ended_; }
    void set_web_sessions_ended() { web_sessions_ended_ = true; }

    // ---- what it shares with others (RFC 4314)

    /// Whether an account is of the same domain, so that it can be given rights; addresses and accounts are moxd's
    /// word.
    bool is_neighbour(const Account& other) const;
    bool has_address(const std::string& address) const { return addresses_.contains(address); }
    bool is_submission_server() const { return submission_server_ == proto::SubmissionServer::yes; }
    /// A mailbox of this account as guests name it.
    uint64_t id_for_guests(uint64_t mailbox) const { return number_ << proto::kOwnerShift | mailbox; }
    /// nullptr: not known yet.
    const std::shared_ptr<const Shares>& shares() const { return shares_; }
    void set_may_share(bool may) { may_share_ = may; }
    /// Finds out what is shared, once; cheap for who shares nothing.
    async::Task<Result<proto::Done>> load_shares();
    /// What was known of that is void: it is another store.
    void forget_shares() { shares_.reset(); }
    /// A channel of a guest that is to hear of what it may read here.
    void add_visitor(AccountChannel& channel) { visitors_.insert(&channel); }
    void remove_visitor(AccountChannel& channel) { visitors_.erase(&channel); }
    void tell_list_changed();
    /// What an earlier worker left is for the present ones.
    void tell_learning_due();
    /// What they know of the mailboxes here is void.
    void close_visitors(std::string_view reason);

    /// A new channel for a worker, or moxctl: this end is served until it is lost.
    Fd open_channel(ipc::Role peer);
    void close_channels(std::string_view reason);
    size_t channels() const { return channels_.size(); }

    std::shared_ptr<Strand> strand() { return strand_; }
    bool store_open() const { return strand_->store_open(); }
    /// See Strand: whoever holds it cannot open a store that is being moved.
    void block(bool blocked) { strand_->block(blocked); }
    bool idle() const { return strand_->idle() && uses_ == 0; }
    async::Clock::time_point last_use() const { return last_use_; }
    async::Task<void> close_store() { return strand_->close(); }

    /// Keeps the account from being closed or removed while files are put into it.
    class Use {
      public:
        explicit Use(std::shared_ptr<Account> account) : account_(std::move(account)) { account_->uses_++; }
        Use(Use&&) = default;
        Use& operator=(Use&&) = delete;
        ~Use() {
            if (account_ != nullptr) account_->uses_--;
        }
        Account* operator->() const { return account_.get(); }

      private:
        std::shared_ptr<Account> account_;
    };

  private:
    void tell(const Effects& effects);
    void tell_guests(const Effects& effects);
    void tell_visitors(const Effects& effects, const Shares& before, const Shares& now);
    async::Task<void> serve(AccountChannel& channel);
    async::Task<void> build_index();
    async::Task<void> rewrite_packs();
    async::Task<void> compress_messages();
    /// The first behind the content `last`, which outlives this and is set to it; whether there may be more.
    async::Task<bool> compress_one(uint64_t& last);
    Engine& engine_;
    Accounts& accounts_;
    std::string name_;
    uint64_t number_;
    std::set<std::string> addresses_;
    std::set<std::string> domains_;
    proto::SubmissionServer submission_server_ = proto::SubmissionServer::no;
    bool may_share_ = true;  // unless it is known that it does not
    std::shared_ptr<const Shares> shares_;
    std::set<AccountChannel*> visitors_;
    std::shared_ptr<const ClientKeys> client_keys_;
    uint64_t client_keys_version_ = 0;
    async::Clock::time_point client_keys_unreadable_until_;
    proto::Logins logins_ = proto::Logins::allowed;
    bool web_sessions_ended_ = false;  // since it may not log in
    std::shared_ptr<Strand> strand_;
    MailStore& store_;  // the strand's
    size_t uses_ = 0;
    bool indexing_ = false;
    bool rewriting_ = false;
    bool compressing_ = false;
    bool compress_due_ = true;  // there may be large messages that were not tried yet, by an earlier process
    bool out_of_use_ = false;   // its channels were closed: the index, the packs and compression wait
    Expiries expiries_;
    int64_t next_expiry_ = 0;
    bool was_opened_ = false;
    async::Clock::time_point last_use_ = async::Clock::now();
    std::vector<std::unique_ptr<AccountChannel>> channels_;
    async::Scope scope_;  // last: its tasks use all of the above
};

class Accounts {
  public:
    explicit Accounts(Engine& engine);

    /// The accounts there are from now on; channels of those no longer named are closed.
    void configure(const std::vector<proto::ConfigureStoraged::Account>& accounts);
    std::shared_ptr<Account> find(const std::string& name);
    /// By its name or one of its addresses.
    std::shared_ptr<Account> find_by_user(const std::string& user);
    /// One of the same domain, by its name.
    std::shared_ptr<Account> find_neighbour(const Account& of, const std::string& name);
    /// The same by the number; another's than a neighbour's is nobody's.
    std::shared_ptr<Account> find_neighbour(const Account& of, uint64_t number);
    /// The canonical form of an identifier in an access control list of this account: the name of the account, with its
    /// '-'. Errors: bad_request when it is none (RFC 4314 2), exists for the owner.
    Result<std::string> canonical_identifier(const Account& owner, std::string_view identifier);
    /// Those that share a mailbox with the account.
    async::Task<std::vector<std::shared_ptr<Account>>> sharing_with(std::shared_ptr<Account> guest);
    /// What an account shares is now another thing: whom that concerns is told.
    void tell_shares_changed(const Account& owner, const Shares& before, const Shares& now);
    // ---- keys of TLS clients, see proto/storage.h (client_keys.cc)
    async::Task<Result<proto::OwnedClientKey>> find_client_key(std::string fingerprint);
    async::Task<Result<proto::Done>> add_client_key(proto::AddClientKey message);
    async::Task<Result<proto::Done>> remove_client_key(std::string fingerprint);
    async::Task<Result<proto::OwnedClientKeys>> list_client_keys(std::string name);
    // ---- sessions in a browser (web_sessions.cc)
    /// Ends those of accounts that may not log in. What fails is for the next call.
    async::Task<void> end_disabled_web_sessions();
    /// Forgets those that ended by themselves, of accounts whose databases are open.
    async::Task<void> drop_ended_web_sessions();
    size_t size() const;
    /// Those that are configured.
    std::vector<std::shared_ptr<Account>> all() const;
    /// A channel for a worker, or moxctl, to the account of that name, whose store is open then.
    async::Task<Result<proto::AccountChannel>> open_channel(std::string name, ipc::Role peer);
    /// Moves the directory of an account to removed/.
    async::Task<Result<proto::Done>> remove(std::string name);
    /// The accounts that are configured, and the directories in removed/.
    async::Task<Result<proto::StoreNames>> names();
    /// Puts another directory in the place of a configured account; the present one is moved to removed/. `prepare`
    /// runs in a thread before, with the UIDVALIDITY that no mailbox of the account has had up to now, and returns the
    /// directory.
    async::Task<Result<proto::Done>> replace(std::string name, std::function<Result<std::string>(uint64_t)> prepare);
    /// Closes databases that were not used for long, when many are open; call before one more is opened.
    void make_room();
    /// Closes all channels and stores, for the end of the process.
    async::Task<void> close_all();

  private:
    /// Entries stay when the configuration drops them: there is never a second Account for one directory.
    struct Entry {
        std::shared_ptr<Account> account;
        bool configured = false;
        bool replaced = false;  // being put in place: nobody finds it
    };
    async::Task<Result<proto::Done>> take_out_of_use(std::shared_ptr<Account> account);
    async::Task<void> look_for_shares();
    async::Task<std::set<std::string>> find_marked(std::vector<std::string> names, const char* mark);
    class KeyTurn;
    async::Task<Result<proto::Done>> load_client_keys(std::string name = {});
    std::vector<std::shared_ptr<Account>> owners_of(const std::string& fingerprint) const;
    async::Task<Result<proto::Done>> forget_identifier(std::string name);
    async::Task<void> close_regularly();
    async::Task<void> close_unused();
    Engine& engine_;
    std::map<std::string, Entry> accounts_;
    std::map<uint64_t, Account*> by_number_;
    bool shares_known_ = false;   // of each account whether it may share
    bool changing_keys_ = false;  // they change one at a time: each is one account's alone
    async::Notify keys_changed_;
    bool closing_ = false;
    async::Scope scope_;
};

}  // namespace mox::storaged
