// Packs: files in which the small contents of an account lie one behind the other.
//
// Making a file for each message costs more than all else that a small one needs; a record in a pack costs a write. The
// row of a pack says where its records end, and how many bytes of them are still needed; what is behind that end
// belongs to nobody. Invariants: what a pack has is never changed, because backups are hard links; a record goes only
// to the very end of a file that has one name and ends where the row says, else a new pack is begun: so what a failed
// operation, a failed commit or a crash left behind is never covered, and never taken for something else. The bytes are
// written in the operation that adds the row, and durable with its commit: the journal has them.
//
// Runs in worker threads, inside a strand's operations. rewriting.cc gives back the space of what is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/async/fd.h"
#include "common/pack/record.h"
#include "proto/admin.h"
#include "storaged/counters.h"
#include "storaged/files.h"

namespace mox::storaged {

class Store;

/// Where the bytes of a content are: in a pack; in a file of its own, with its number; or, compressed, in one with
/// another number.
struct ContentPlace {
    uint64_t file = 0;
    uint64_t offset = 0;  // in a pack: of its record
    uint64_t length = 0;  // stored bytes
    pack::Method method = pack::Method::raw;

    proto::FileKind kind_for(uint64_t content) const {
        if (method == pack::Method::frames) return proto::FileKind::compressed;
        return file == content ? proto::FileKind::message : proto::FileKind::pack;
    }
};

/// Reads out of packs: one answer's worth, with one descriptor at a time.
class PackReader {
  public:
    explicit PackReader(const FileTree& tree) : tree_(tree) {}
    /// The stored bytes of a content of `size` bytes; nothing when they are damaged, which is logged.
    std::optional<std::string> read(uint64_t content, uint64_t size, const ContentPlace& place);

  private:
    bool open(uint64_t file);
    std::string_view bytes_at(uint64_t offset, size_t size);
    const FileTree& tree_;
    uint64_t number_ = 0;
    Fd file_;
    std::string bytes_;    // that were read last
    uint64_t start_ = 0;   // where they lie
    uint64_t behind_ = 0;  // the record asked for last
};

class Packs {
  public:
    Packs(Store& store, const PackLimits& limits) : store_(store), limits_(limits) {}

    /// Adds a record for this content, whose row is to be made in the same operation.
    ContentPlace add(uint64_t content, uint64_t size, pack::Method method, std::string_view stored);
    /// The content that has its record there is gone.
    void drop(const ContentPlace& place);
    /// At the end of an operation: writes what was added to its file, says so to the journal, and counts what was
    /// dropped.
    void finish();
    /// The operation did not come about.
    void undo() noexcept {
        pending_.clear();
        pending_records_ = 0;
        dropped_.clear();
    }
    /// Nothing is known any more of the rows.
    void forget() noexcept;

    /// Moves some of what is still needed out of a pack of which little is; whether there is more to do.
    bool rewrite();

    using Report = std::function<void(std::string)>;
    /// Reads all records of a pack and compares with the rows; how many contents have theirs there.
    uint64_t check(uint64_t file, const Report& report);
    /// After a crash, in a transaction: what is behind the end of the current pack is put aside, record by record.
    void recover();
    /// A file that no row knows: if it is a pack, each whole record in it is put aside as a file of its own.
    void unpack_stray(uint64_t file);

  private:
    struct Row {
        uint64_t id = 0;  // 0: there is none
        uint64_t size = 0;
        uint64_t moved = 0;
    };
    struct Dropped {
        uint64_t records = 0;
        uint64_t bytes = 0;
    };
    void write();
    void count_dropped();
    void count_dropped(uint64_t pack, const Dropped& dropped);
    Row current();
    Row next_to_rewrite();
    void choose(size_t more);
    bool may_append(const Row& row);
    void begin(const Row& last);
    void retire(uint64_t pack);
    void mark_small_ones();
    bool is_live(uint64_t pack, uint64_t offset, const pack::RecordHead& head);
    void move_record(const Row& from, uint64_t offset, const pack::Record& record);
    void rewrite_some(const Row& row);
    void put_records_aside(const Fd& file, uint64_t from);

    Store& store_;
    const PackLimits& limits_;
    uint64_t number_ = 0;  // of the pack that is open for writing
    Fd file_;
    uint64_t end_ = 0;     // where `pending_` goes in it
    std::string pending_;  // records of the operation under way, that its row does not count yet
    uint64_t pending_records_ = 0;
    std::map<uint64_t, Dropped> dropped_;  // by it, out of each pack
};

/// Reads up to `size` bytes; fewer at the end of the file, and where the disk fails.
std::string read_at(const Fd& file, uint64_t offset, size_t size);

}  // namespace mox::storaged
