// The columns of the mailbox of an account that was opened last, as they were handed out: opening it again costs what
// has changed since, not its length.
//
// Belongs to a store and is used in its operations. Invariant: what is kept is what the rows were at its modseq; after
// anything but a commit, and when the database is closed, it is forgotten. Bounded by kMaxKept bytes over all accounts.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/account.h"

namespace mox::storaged {

class KeptColumns {
  public:
    /// Bytes kept by all; larger mailboxes, and those beyond, are read from their rows every time.
    static constexpr uint64_t kMaxKept = 64u << 20;
    static constexpr uint64_t kMinRows = 200;  // below it is not worth it

    explicit KeptColumns(std::atomic<uint64_t>& kept_by_all) : total_(kept_by_all) {}
    ~KeptColumns() { forget(); }
    KeptColumns(const KeptColumns&) = delete;
    KeptColumns& operator=(const KeptColumns&) = delete;

    void keep(proto::MailboxId mailbox, uint64_t modseq, uint64_t count, const Fd& rows);
    void forget();

    bool has(proto::MailboxId mailbox) const { return rows_ && mailbox_ == mailbox; }
    uint64_t modseq() const { return modseq_; }
    uint64_t count() const { return count_; }
    /// The memory file once more.
    Fd file() const;
    /// A new memory file, with what has changed since modseq(); `count` becomes its rows.
    Fd merge(const proto::MailboxChanges& changes, uint64_t& count) const;

  private:
    std::atomic<uint64_t>& total_;
    proto::MailboxId mailbox_;
    uint64_t modseq_ = 0;
    uint64_t count_ = 0;
    Fd rows_;
};

}  // namespace mox::storaged
