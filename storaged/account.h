// Account: one account's store on its strand, and the channels through which its workers use it.
//
// Lives in the loop. Accounts owns all of them: an account exists while the configuration names it; its database is
// opened on demand and closed when it has been idle, or when too many are open.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "proto/admin.h"
#include "proto/supervise.h"
#include "storaged/mail_store.h"
#include "storaged/strand.h"

namespace mox::storaged {

class AccountChannel;

class Account : public std::enable_shared_from_this<Account> {
  public:
    Account(Engine& engine, std::string name);
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    const std::string& name() const { return name_; }
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

    /// A new channel for a worker, or moxctl: this end is served until it is lost.
    Fd open_channel(ipc::Role peer);
    void close_channels(std::string_view reason);
    size_t channels() const { return channels_.size(); }

    std::shared_ptr<Strand> strand() { return strand_; }
    bool store_open() const { return strand_->store_open(); }
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
    async::Task<void> serve(AccountChannel& channel);
    async::Task<void> build_index();
    async::Task<void> rewrite_packs();
    Engine& engine_;
    std::string name_;
    std::shared_ptr<Strand> strand_;
    MailStore& store_;  // the strand's
    size_t uses_ = 0;
    bool indexing_ = false;
    bool rewriting_ = false;
    bool out_of_use_ = false;  // its channels were closed: the index and the packs wait
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
    async::Task<void> close_regularly();
    async::Task<void> close_unused();
    Engine& engine_;
    std::map<std::string, Entry> accounts_;
    bool closing_ = false;
    async::Scope scope_;
};

}  // namespace mox::storaged
