// Import: brings the messages of a Source into the mail of one account.
//
// Each message goes through the parser and on to storaged in one pass, as an IMAP client's APPEND does; several batches
// are under way at a time, so that their commits share the flush of the disk. Memory does not depend on the size or the
// number of messages. A message is known by a digest of its mailbox and its bytes: storaged remembers it in the commit
// that adds the message, so an import may end anywhere and be made again. Every message that is not taken is named with
// its reason.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "common/incoming/content.h"
#include "moxctl/account_link.h"
#include "moxctl/progress.h"
#include "moxctl/transfer/source.h"

namespace mox::moxctl {

enum class Repeats : uint8_t { leave_out, add_again };

struct ImportOptions {
    std::string mailbox;  // where everything goes; empty: mail of the source's root into INBOX, the rest beside it
    Repeats repeats = Repeats::leave_out;
    int64_t now = 0;  // for messages without any date
};

struct ImportCounts {
    uint64_t added = 0;
    uint64_t known = 0;      // an import has brought them before
    uint64_t not_taken = 0;  // each was named
    uint64_t bytes = 0;      // of messages read
    uint64_t mailboxes = 0;  // that were made
};

class Import {
  public:
    /// `name_skipped` is told each message that is not taken, with its reason.
    Import(AccountLink& account, Source& source, ImportOptions options, Progress& progress,
           std::function<void(const std::string& origin, const std::string& reason)> name_skipped);

    /// Runs to the end. Throws Failed or Broken; what was imported before stays.
    async::Task<void> run();
    const ImportCounts& counts() const { return counts_; }

  private:
    struct Batch {
        proto::ImportMessages request;
        std::vector<std::string> origins;
        size_t bytes = 0;
        size_t files = 0;
    };
    async::Task<void> take(const SourceMessage& message);
    async::Task<void> read_message(const SourceMessage& message, const std::string& mailbox);
    async::Task<void> need_mailbox(const std::string& name);
    async::Task<void> flush();
    async::Task<void> send(Batch batch);
    async::Task<void> wait_for_answers(size_t at_most);
    void skip(const std::string& origin, const std::string& reason);
    std::string mailbox_for(const SourceMessage& message) const;

    AccountLink& account_;
    Source& source_;
    ImportOptions options_;
    Progress& progress_;
    std::function<void(const std::string&, const std::string&)> name_skipped_;
    uint64_t run_;
    ImportCounts counts_;
    std::set<std::string> mailboxes_;
    Batch batch_;
    size_t under_way_ = 0;
    std::optional<Error> error_;  // of a batch
    async::Notify answered_;
    async::Scope scope_;  // last: its tasks use all of the above
};

}  // namespace mox::moxctl
