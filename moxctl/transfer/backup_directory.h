// A backup: a directory laid out like storaged's data directory (storaged(8)), with the databases as of one moment
// each.
//
// Message files never change and their numbers are never used again: one that is there with the right size need not be
// copied again. A pack only grows: a copy has what its row speaks of and no more, a link may have more. They are hard
// links to those in use where that works, else clones, else copies. Failures are thrown as Failed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/admin.h"

namespace mox::moxctl {

/// One store in a backup: an account's, or the queue's when the name is empty.
class StoredCopy {
  public:
    StoredCopy(const std::string& backup, const std::string& account);

    const std::string& account() const { return account_; }
    std::string database() const { return database_; }
    std::string directory_of(uint64_t directory) const;
    std::string path_of(uint64_t file) const;
    /// Says that the files come from the store with this history. When what is there is of another one (the account was
    /// removed and added again, or restored), its numbers may mean other files: it is moved to a backup of its own,
    /// whose path is returned, and can be restored from there.
    std::string take_up(uint64_t history) const;
    /// Whether the backup has a copy of this store, or should have one.
    bool is_there() const;
    /// Those of the files that are missing, or have another size.
    std::vector<proto::FileRow> missing(const std::vector<proto::FileRow>& files) const;
    /// Records of a pack that are damaged: texts, the first few.
    std::vector<std::string> damaged(const proto::FileRow& pack) const;
    /// Puts a file of storaged's into the backup, in place of one that is there.
    void keep(const proto::FileRow& row, const Fd& file) const;
    /// Puts the database in place of the one there. All files of it must be on disk.
    void keep_database(const Fd& database) const;
    /// Removes the files that are not in the ascending list; how many.
    uint64_t remove_others(const std::vector<proto::FileRow>& files) const;
    /// Files that are not in the ascending list.
    std::vector<uint64_t> others(const std::vector<proto::FileRow>& files) const;
    Fd open_database(uint64_t& size) const;

  private:
    std::string set_aside() const;
    std::string backup_;
    std::string account_;
    std::string directory_;
    std::string top_;  // of the message files
    std::string database_;
    std::string history_;
    std::string half_moved_;  // what set_aside() has not come to the end with
};

/// The accounts in a backup, by name.
std::vector<std::string> accounts_in(const std::string& backup);
/// All rows of storaged's list of files. Memory: 24 bytes a file.
std::vector<proto::FileRow> read_file_rows(const Fd& list, uint64_t count);
/// Writes all that was written below this directory to disk.
void sync_all(const std::string& directory);

}  // namespace mox::moxctl
