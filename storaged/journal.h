// Journal: the one place where commits become durable, for all who wait at the same moment together.
//
// A request has what one commit of one store wrote: the bytes of its database log and those of packs. The thread
// takes all requests that wait, writes them as one record to a file whose blocks exist already, and flushes the disk
// once: so under load a flush is shared by dozens of deliveries to different accounts, and alone a delivery costs a
// single one. The files themselves are written without any flush; after a crash the journal is replayed into them. What
// is too large for the journal is synced where it lies, before the record.
//
// There are two segments, written in turn. Before one is written again everything its records speak of has reached its
// own place, by one syncfs in a second thread while the other segment fills.
//
// Invariants: `done(true)` is called only after all that the request names is on disk. A record that a crash left whole
// may be replayed any number of times. A failed flush means that the kernel has thrown pages away and will say so only
// once: nothing may be acknowledged any more, and `failed` ends the process.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/async/fd.h"
#include "storaged/journal_format.h"

namespace mox::storaged {

/// A JournalEntry that owns what it names.
struct OwnedEntry {
    EntryKind kind;
    std::string path;
    uint64_t offset = 0;
    std::shared_ptr<const std::string> bytes;  // may be null: none
};

struct JournalOptions {
    uint64_t segment_size = 32u << 20;
    /// Called when the disk fails, and should not return; empty: log::fatal.
    std::function<void(std::string_view)> failed;
};

class Journal {
  public:
    struct Request {
        std::vector<std::shared_ptr<const Fd>> sync_first;  // files and directories that must be on disk before
        std::vector<OwnedEntry> entries;
        /// In the journal's thread, must not block: 0 when it is durable; else the errno of what failed, and nothing of
        /// it will ever be.
        std::function<void(int error)> done;
        /// In the journal's thread, after `done`: writes to its place what this record has; the caller may have gone on
        /// since. May be empty.
        std::function<void()> settle;
    };
    /// For metrics.
    struct Counters {
        std::atomic<uint64_t> requests = 0;
        std::atomic<uint64_t> rounds = 0;
        std::atomic<uint64_t> flushes = 0;  // calls that flushed the disk, while somebody waited
        std::atomic<uint64_t> bytes = 0;
        std::atomic<uint64_t> checkpoints = 0;
    };

    /// Replays what a crash left (replay.h), then begins anew. Throws StoreFailure.
    explicit Journal(JournalOptions options = {});
    /// Serves what waits, then ends the threads.
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// From any thread.
    void submit(Request request);
    /// Waits until everything is in its own place and the journal is empty; 0, or an errno. From any thread but its
    /// own.
    int checkpoint();
    /// The last checkpoint: all stores are closed, and nothing is under way. From any thread but its own.
    int end();
    /// Waits until the journal says that all it has said of this database log is void. From any thread but its own.
    int forget(const std::string& path);

    /// A number that is greater for every process that begins where the last one did not end as it should. A store that
    /// was closed in this era has no file without a row.
    uint64_t era() const { return era_; }
    /// A file of up to so many bytes goes into the journal; a larger one is synced.
    static constexpr size_t kMaxFile = 64u << 10;
    /// So many bytes of a database log may stand in one record; what is more is written and synced by itself.
    uint64_t max_log_write() const { return std::min<uint64_t>(4u << 20, segment_size_ / 8); }
    const Counters& counters() const { return counters_; }

  private:
    struct Segment {
        Fd file;
        uint64_t prepared = 0;  // bytes that have blocks
        bool free = true;       // nothing in it is needed any more
    };
    struct Waiting {
        Request request;
        std::optional<EntryKind> checkpoint = {};  // checkpoint or end
    };

    void open_segments(size_t newest);
    int wait_for(Waiting waiting);
    void work();
    void serve(std::vector<Waiting> round);
    void serve_requests(std::vector<Waiting>& round, size_t begin, size_t end);
    void sync_files(const std::vector<Waiting>& round, size_t begin, size_t end);
    void finish(std::vector<Waiting>& round, size_t begin, size_t end, int error);
    int write_record(std::string_view record);
    int make_room(uint64_t size);
    int prepare(Segment& segment, uint64_t end);
    int write_header();
    void change_segment();
    int make_checkpoint(EntryKind kind);
    void clean_segments();
    void flushed(bool ok, std::string_view what);

    const uint64_t segment_size_;
    std::function<void(std::string_view)> failed_;
    uint64_t era_ = 0;
    Counters counters_;
    Fd data_directory_;

    // the journal's thread
    std::array<Segment, 2> segments_;
    size_t current_ = 0;
    uint64_t position_ = 0;  // in the current segment; 0: it has no header yet
    uint64_t next_sequence_ = 1;
    const uint64_t seed_;
    RecordWriter writer_{seed_};

    std::mutex mutex_;  // guards what follows, and `free` of the segments
    std::condition_variable changed_;
    std::vector<Waiting> waiting_;
    int to_clean_ = -1;  // the segment whose contents are to reach their places
    bool stopping_ = false;
    bool cleaner_stopping_ = false;
    std::thread cleaner_;
    std::thread thread_;
};

}  // namespace mox::storaged
