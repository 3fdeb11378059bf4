// The bytes of the journal: a segment is a header and records, one for each time the disk was flushed.
//
// Pure functions: the writer is in journal.cc, replay.cc acts on what is read here. Numbers are little-endian. The
// header and every record begin at a multiple of kJournalBlock, so that writing one never touches a block of another. A
// record is whole when its checksum says so and its sequence number follows the one before; whatever stands behind the
// last whole record was never acknowledged. It may be anything, also mail of an earlier record: so the checksum depends
// on a random number of the process that wrote the segment, which who writes mail does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mox::storaged {

constexpr size_t kJournalBlock = 4096;
constexpr size_t kMaxJournalPath = 1024;

/// What a part of a record says. The numbers are on disk: never change one.
enum class EntryKind : uint8_t {
    log = 1,         // these bytes were written to the database log `path` at `offset`
    gone = 3,        // the file `path` was removed
    forget = 4,      // the database log `path` is on disk as it stands: earlier parts about it are void
    checkpoint = 5,  // everything is on disk: all earlier records are void
    end = 6,         // a checkpoint, behind which the process ends
    bytes = 7,       // the file `path`, made if it is not there, has these bytes at `offset`, for ever
};

struct JournalEntry {
    EntryKind kind;
    std::string_view path;
    uint64_t offset = 0;
    std::string_view bytes;
};

struct JournalRecord {
    uint64_t sequence = 0;
    std::vector<JournalEntry> entries;
};

struct JournalSegment {
    uint64_t first_sequence = 0;  // 0: this is no segment, or one whose header was never whole
    uint64_t era = 0;             // of the process that wrote it; see Journal::era()
    uint64_t seed = 0;            // of its checksums
    std::vector<JournalRecord> records;
    bool is_unreadable = false;  // behind them is a whole record that this program cannot read, or all of it is such
    uint64_t next_sequence() const { return first_sequence + records.size(); }
};

/// A record being put together, in a buffer that is used again for the next.
class RecordWriter {
  public:
    /// For segments with this seed.
    explicit RecordWriter(uint64_t seed) : seed_(seed) {}
    void begin(uint64_t sequence);
    /// An entry that could not be read again ends the process: better now than with mail that was acknowledged.
    void add(const JournalEntry& entry);
    /// The whole record, padded to a multiple of kJournalBlock; valid until the next begin().
    std::string_view finish();
    /// Bytes that an entry takes in a record.
    static size_t size_of(const JournalEntry& entry);
    /// Bytes that a record with entries of this size takes in a segment.
    static size_t record_size(size_t entries);

  private:
    uint64_t seed_;
    std::string buffer_;
};

/// kJournalBlock bytes.
std::string segment_header(uint64_t first_sequence, uint64_t era, uint64_t seed);
/// Reads what is whole. The result points into `bytes`.
JournalSegment parse_segment(std::string_view bytes);

}  // namespace mox::storaged
