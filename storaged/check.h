// Checking a store: the schema's version, the database's pages and indexes, rows against each other, rows against
// files.
//
// In a worker thread, inside a strand's operations or on a store that nobody else has. A store that is in use is
// checked piece by piece: each piece sees the rows as they are between two commits, and files and rows agree then.
#pragma once

#include <string>
#include <vector>

#include "storaged/store.h"

namespace mox::storaged {

/// What is wrong with a store: texts, bounded in number.
class Problems {
  public:
    void add(std::string text);
    bool empty() const { return texts_.empty(); }
    /// When there were more than fit, the last one says so.
    std::vector<std::string> take();

  private:
    static constexpr size_t kMax = 1000;
    std::vector<std::string> texts_;
    uint64_t more_ = 0;
};

/// The database: pages, indexes, schema, rows against each other.
void check_rows(Store& store, Problems& problems);

struct FilesChecked {
    uint64_t known = 0;  // messages that are files of their own as they came
    uint64_t moved_aside = 0;
    std::vector<proto::FileRow> unread;  // the other files
};
/// A part of what can be made anew from the messages, the index of words: the part to go on with, 0 at the end.
/// Problems that were put right are counted.
uint64_t check_part(Store& store, uint64_t from, Repair repair, Problems& problems, uint64_t& repaired);
/// The directories to be checked: those that are there, and those that rows speak of.
std::vector<uint64_t> directories_to_check(Store& store);
/// One of them: every row has its file, with its size; every file has its row, or is about to be erased.
FilesChecked check_directory(Store& store, uint64_t directory, proto::Strays strays, Problems& problems);
/// What is in one of its packs, or compressed files; how many messages are whole.
uint64_t check_contents(Store& store, const proto::FileRow& file, Problems& problems);

/// All of it, of a store that is open and not in use.
std::vector<std::string> check_store(Store& store);

}  // namespace mox::storaged
