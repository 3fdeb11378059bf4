// Reindex: reads all messages of one account and gives storaged their words anew, while the account is in use.
//
// The index is dropped first: whenever this is interrupted, what it lacks is read by searches, and indexed by them.
// Memory holds a bit for each message.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxctl/account_link.h"
#include "moxctl/progress.h"

namespace mox::moxctl {

struct ReindexCounts {
    uint64_t indexed = 0;
    uint64_t lost = 0;  // files that cannot be read
    uint64_t bytes = 0;
};

class Reindex {
  public:
    Reindex(AccountLink& account, Progress& progress) : account_(account), progress_(progress) {}
    /// Runs to the end. Throws Failed.
    async::Task<void> run();
    const ReindexCounts& counts() const { return counts_; }

  private:
    async::Task<void> read_mailbox(const std::string& name);
    async::Task<void> read_messages(proto::MailboxId mailbox, std::vector<proto::Uid> uids);
    async::Task<void> flush();
    bool is_new(uint64_t content);
    AccountLink& account_;
    Progress& progress_;
    ReindexCounts counts_;
    std::vector<bool> seen_;  // by content
    std::vector<proto::ContentWords> words_;
    size_t bytes_ = 0;  // of words_
};

}  // namespace mox::moxctl
