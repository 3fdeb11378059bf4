// Content: the bytes of one message on their way into stores: in memory when they are few, else in a file that was
// spooled, or that another store has.
//
// One object for all recipients, used in the worker threads. The first store gets the bytes written or linked, the
// others links to the same file where that works. Nothing here syncs: small contents are made durable by the journal,
// the others by their descriptor.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/async/fd.h"
#include "common/pack/record.h"
#include "proto/supervise.h"
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
    /// The bytes of one that fits the journal as they go into a pack: compressed, when that is wanted and saves room.
    /// That is done once for all stores; a thread waits while another does it.
    struct Packed {
        pack::Method method;
        std::string_view stored;
    };
    Packed packed(proto::Compression compression) const;
    /// Of a content that does not fit the journal.
    const std::shared_ptr<const Fd>& file() const { return file_; }
    /// Where that file is.
    const std::string& path() const { return path_; }

  private:
    uint64_t size_;
    std::shared_ptr<const std::string> bytes_;
    std::shared_ptr<const Fd> file_;
    std::string path_;  // of the file
    mutable std::once_flag tried_;
    mutable std::optional<std::string> compressed_;
};

}  // namespace mox::storaged
