// Stage: a store from a backup, in restore/N, on its way into the place of an account, or only looked at.
//
// Its database and its message files come as descriptors and are copied. Nothing of it is in use before install(): then
// all files are there and synced, the mailboxes have new UIDVALIDITY values, and a rename puts it in place. A stage
// that is dropped, or that a crash left, is removed. Runs in the worker threads, one call at a time.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "proto/admin.h"
#include "storaged/store.h"

namespace mox::storaged {

class MailStore;

/// Empties restore/ of what an earlier process left.
void prepare_stages();

class Stage {
  public:
    /// Of the account's store, or of the queue's when the name is empty.
    Stage(uint64_t number, std::string account, Journal& journal, Counters& counters);
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    const std::string& account() const { return account_; }
    /// Copies the database, opens and upgrades it, and checks its rows.
    Result<proto::Staged> open(const Fd& database, uint64_t size);
    Result<proto::StagedMessages> list(const std::string& mailbox, uint32_t after);
    Result<proto::Done> add(const std::vector<proto::StagedFile>& files);
    /// Makes it ready: all files there, UIDVALIDITY values above all that were used, closed. Its directory.
    Result<std::string> finish(uint64_t uidvalidity_above);

  private:
    uint64_t number_;
    std::string account_;
    std::string directory_;
    std::mutex mutex_;
    std::unique_ptr<Store> store_;
};

/// Gives the mailboxes of an account that is not in use new UIDVALIDITY values, and ends its sessions in a browser.
/// Throws StoreFailure.
void renew_account(const std::string& directory, uint64_t above, Journal& journal, Counters& counters);

}  // namespace mox::storaged
