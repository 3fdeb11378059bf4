// Export: writes the mail of one account to a Target, mailbox after mailbox, while it is in use.
//
// Memory holds the rows of a few hundred messages at a time. A message that cannot be read is named, and does not end
// the export.
#pragma once

#include <functional>
#include <string>

#include "moxctl/account_link.h"
#include "moxctl/progress.h"
#include "moxctl/transfer/target.h"

namespace mox::moxctl {

struct ExportCounts {
    uint64_t written = 0;
    uint64_t there = 0;      // written by an export before
    uint64_t not_taken = 0;  // each was named
    uint64_t bytes = 0;
    uint64_t mailboxes = 0;
};

class Export {
  public:
    /// Of all mailboxes, or of `mailbox` and those below it. `name_skipped` is told what is not written, and why.
    Export(AccountLink& account, Target& target, std::string mailbox, Progress& progress,
           std::function<void(const std::string& origin, const std::string& reason)> name_skipped)
        : account_(account),
          target_(target),
          mailbox_(std::move(mailbox)),
          progress_(progress),
          name_skipped_(std::move(name_skipped)) {}

    /// Runs to the end. Throws Failed.
    async::Task<void> run();
    const ExportCounts& counts() const { return counts_; }

  private:
    using Rows = std::vector<proto::MessageRow>;
    async::Task<void> write_mailbox(const std::string& name);
    async::Task<void> write_rows(const proto::MailboxColumns& columns, const Rows& rows);
    void write_files(const proto::MailboxColumns& columns, const Rows& rows, proto::MessageFiles& files);
    void skip(const std::string& origin, const std::string& reason);
    AccountLink& account_;
    Target& target_;
    std::string mailbox_;
    Progress& progress_;
    std::function<void(const std::string&, const std::string&)> name_skipped_;
    ExportCounts counts_;
};

}  // namespace mox::moxctl
