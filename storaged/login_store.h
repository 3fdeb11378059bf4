// LoginStore: the history of logins, of all accounts and of attempts that lead to none: logins.db.
//
// One database beside those of the accounts: whatever comes in at once is one transaction of one strand that nothing
// else waits for, and no account is opened for it. Runs in the worker threads, inside the strand's operations.
//
// Attempts that are alike share a row for a day. Bounded: rows go when they are old, when an account has too many, and
// above kMaxLogins the oldest of all; that is looked at after each kTrimAfter new ones.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "proto/admin.h"
#include "storaged/store.h"

namespace mox::storaged {

constexpr uint64_t kMaxLogins = 500'000;               // rows, about 300 bytes each
constexpr int64_t kSameLoginFor = int64_t{24} * 3600;  // seconds from its first attempt that a row takes more

/// What is wrong with what authd says, if anything.
std::optional<Error> check_logins(const std::vector<proto::LoginAttempt>& attempts);

class LoginStore : public Store {
  public:
    LoginStore(Journal& journal, Counters& counters);

    /// Seconds that a row stays behind its last attempt, and failures that an account may have; as many rows of others.
    /// From any thread.
    void set_limits(int64_t keep, uint64_t max_failed) {
        keep_ = keep;
        max_failed_ = max_failed;
    }

    /// Times in the future count as now.
    Result<proto::Done> note(const std::vector<proto::LoginAttempt>& attempts, int64_t now);
    Result<proto::LoginHistory> list(const proto::ListLogins& request);
    /// Removes some of the logins of an account; whether there are more.
    Result<bool> forget(const std::string& account);
    /// Removes some of those that are old or too many; whether there may be more.
    Result<bool> trim(int64_t now);

    std::span<const Check> checks() const override;
    const char* files_sql() const override;
    const char* count_sql() const override;
    const char* history_sql() const override { return "SELECT 0"; }

  protected:
    void fill_new() override;
    bool row_has_file(uint64_t) override { return false; }

  private:
    bool merge(const proto::LoginAttempt& attempt, uint64_t alike, int64_t first, int64_t last);
    int64_t trim_accounts();
    std::atomic<int64_t> keep_ = int64_t{30} * 24 * 3600;
    std::atomic<uint64_t> max_failed_ = 10'000;
    uint64_t added_ = 0;  // since it was last trimmed
};

}  // namespace mox::storaged
