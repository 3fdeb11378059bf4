// Spool files: where a message is written, by another process, before it is delivered.
//
// The file is made here and its descriptor given away; only its name is kept, by the channel that asked for it. No
// other channel can name it, and it goes with the channel. Before its content is relied upon, claim() makes sure that
// nobody can change it any more: what was acknowledged is what stays.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/async/task.h"
#include "proto/storage.h"
#include "storaged/strand.h"

namespace mox::storaged {

/// Makes the spool directory, and empties it of what an earlier process left.
void prepare_spool();
std::string spool_path(uint64_t spool);
/// Removes a spool file, in a thread.
void remove_spool(Engine& engine, uint64_t spool);

/// A spool file taken out of its set; removed when this is destroyed.
class TakenSpool {
  public:
    TakenSpool(Engine& engine, uint64_t spool) : engine_(&engine), spool_(spool) {}
    TakenSpool(TakenSpool&& other) noexcept : engine_(std::exchange(other.engine_, nullptr)), spool_(other.spool_) {}
    TakenSpool& operator=(TakenSpool&&) = delete;
    ~TakenSpool() {
        if (engine_ != nullptr) remove_spool(*engine_, spool_);
    }
    std::string path() const { return spool_path(spool_); }

  private:
    Engine* engine_;
    uint64_t spool_;
};

/// A name in the spool that no file has.
TakenSpool new_spool(Engine& engine);

/// Where the content of a request is: a spool file, or the bytes themselves.
struct Source {
    std::optional<TakenSpool> spool;
    std::string bytes;
};

/// The spool files of one channel.
class SpoolSet {
  public:
    /// At most `limit` files at a time.
    SpoolSet(Engine& engine, size_t limit) : engine_(engine), limit_(limit) {}
    ~SpoolSet();
    SpoolSet(const SpoolSet&) = delete;
    SpoolSet& operator=(const SpoolSet&) = delete;

    async::Task<Result<proto::SpoolFile>> create();
    void drop(uint64_t spool);
    /// Takes the file out of the set: it now belongs to the caller. Number 0 stands for `content`, which is given
    /// directly. An error when this channel has no such file.
    Result<Source> take(uint64_t spool, std::string content);

  private:
    Engine& engine_;
    size_t limit_;
    std::set<uint64_t> files_;
};

/// Opens the file for syncing, after making sure that it has the stated size and that nobody holds it open for writing.
/// The writer's close may be a moment late: waits a little for it.
async::Task<Result<Fd>> claim(Engine& engine, std::string path, uint64_t size);

}  // namespace mox::storaged
