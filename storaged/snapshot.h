// Snapshot: one store as of one moment, for a backup: a copy of its database, and the files that the copy speaks of.
//
// The store goes on working while the copy is made and while the files are fetched. Until the Snapshot is gone no file
// is erased (Strand::hold_erasures), so all that the copy speaks of stays.
#pragma once

#include <memory>
#include <optional>

#include "proto/admin.h"
#include "storaged/account.h"
#include "storaged/database_copy.h"

namespace mox::storaged {

class Snapshot {
  public:
    /// `use` keeps an account from being closed.
    Snapshot(Engine& engine, std::shared_ptr<Strand> strand, std::optional<Account::Use> use);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    /// Makes the copy, once. Runs to its end whatever becomes of the caller (complete.h): the copy is taken apart in
    /// the strand.
    static async::Task<Result<proto::BackupBegun>> begin(std::shared_ptr<Snapshot> self, uint64_t number);
    async::Task<Result<proto::OpenedFiles>> open_files(std::vector<proto::FileRow> files);

  private:
    struct Work;
    static async::Task<Result<proto::BackupBegun>> copy(Strand& strand, std::shared_ptr<Work> work);
    Engine& engine_;
    std::shared_ptr<Strand> strand_;
    std::optional<Account::Use> use_;
};

/// A row of Store::files_sql().
proto::FileRow file_row(const Query& row);
/// The list of a store's files, from a statement for them.
std::pair<Fd, uint64_t> list_files(Query rows);

}  // namespace mox::storaged
