// A large message becomes a compressed file: the part that needs no database.
//
// The file that was there is given up for the new one, so that is read back and compared first.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/async/fd.h"
#include "common/error.h"

namespace mox::storaged {

/// A message that may become a compressed file.
struct Compressible {
    uint64_t content = 0;
    uint64_t size = 0;
    std::string path;
};

struct CompressedFile {
    std::string path;
    std::shared_ptr<const Fd> file;  // on disk
    uint64_t size = 0;
};

/// What came of trying.
struct Compression {
    enum class Outcome : uint8_t { smaller, not_worth_it, shared, kEnd };
    Outcome outcome = Outcome::not_worth_it;
    CompressedFile file = {};  // when it is smaller
};

/// Writes the message to a new file at `target`, in frames (common/pack/frames.h), reads that back, and syncs it.
/// `not_worth_it`: it does not get a third smaller. `shared`: another store, a backup or a spool has the same file, so
/// that two would take more room than one. The target may be there in any case. Asks `go_on` now and then; errors when
/// that says no, and when the disk fails. In a thread; 100 MB take about a second of it.
Result<Compression> compress_file(const Compressible& message, const std::string& target,
                                  const std::function<bool()>& go_on);

}  // namespace mox::storaged
