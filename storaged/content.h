// Content: the bytes of one message on their way into stores: in memory when they are few, else in a file that was
// spooled, or that another store has.
//
// One object for all recipients, used in the worker threads. The first store gets the bytes written or linked, the
// others links to the same file where that works. Nothing here syncs: small contents are made durable by the journal,
// the others by their descriptor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/async/fd.h"
#include "common/pack/record.h"
#include "storaged/files.h"
#include "storaged/journal.h"

namespace mox::storaged {

static_assert(Journal::kMaxFile == pack::kMaxContent);

class Content {
  public:
    /// All of it, at most Journal::kMaxFile bytes.
    explicit Content(std::string bytes);
    /// A file at `path` with `size` bytes that nobody can change, opened at `file`. A small one is read into memory:
    /// throws StoreFailure when that fails.
    Content(std::string path, Fd file, uint64_t size);

    uint64_t size() const { return size_; }
    bool fits_journal() const { return bytes_ != nullptr; }
    const std::shared_ptr<const std::string>& bytes() const { return bytes_; }
    /// Of a content that does not fit the journal.
    const std::shared_ptr<const Fd>& file() const { return file_; }
    /// Gives the file of a content that does not fit the journal a name in a tree; from any thread. Throws
    /// StoreFailure.
    void put(const LinkedFile& target) const;

  private:
    uint64_t size_;
    std::shared_ptr<const std::string> bytes_;
    std::shared_ptr<const Fd> file_;
    std::string path_;  // of the file
};

}  // namespace mox::storaged
