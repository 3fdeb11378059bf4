// Retention: has each account remove what its configuration lets expire, deletes accounts that were removed long ago,
// takes old logins out of their history, and finds out how much all accounts use.
//
// Lives in the loop; one account after the other, and pauses between, so that others come in between. An account is
// opened for it only when something may be due.
#pragma once

#include "storaged/account.h"
#include "storaged/login_store.h"

namespace mox::storaged {

class Retention {
  public:
    Retention(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> logins);

    /// To be called behind Accounts::configure().
    void configure(const proto::ConfigureStoraged& config);
    /// For the end of the process: opens no account any more.
    void stop() { scope_.cancel(); }

  private:
    async::Task<void> run();
    async::Task<void> look_at_accounts();
    async::Task<void> expire(std::shared_ptr<Account> account);
    async::Task<void> trim_logins();
    Engine& engine_;
    Accounts& accounts_;
    std::shared_ptr<Strand> logins_;
    std::chrono::seconds keep_removed_{0};
    bool count_use_ = false;
    async::Notify configured_;
    async::Scope scope_;
};

/// Deletes what has been in removed/ for longer; in a thread.
void delete_removed(std::chrono::seconds keep, int64_t now);

}  // namespace mox::storaged
