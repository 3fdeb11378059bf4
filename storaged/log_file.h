// LogFile: a database's write-ahead log between SQLite and the disk.
//
// What SQLite writes to the log of a transaction is kept in memory until the strand takes it (take()), the journal has
// made it durable (journal.h), and settle() writes it to the file. So the log file on disk never holds what is not
// durable, one flush of the journal makes the commits of many databases durable, and a crash before settle() is mended
// by replaying the journal. A shim in SQLite's interface to files (a VFS) leads the log's reads and writes here; all
// else goes to SQLite's own.
//
// Two ways around the journal: a transaction too large for memory is written to the file as it grows, all but its end
// (take() then says so, and the file has to be synced before the journal); and sync(), for the rare moments without a
// strand (opening, upgrading, closing), makes everything durable by itself.
//
// One thread at a time, but settle(), which may come from any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <sqlite3.h>
#include <string>

#include "common/async/fd.h"
#include "storaged/journal.h"

namespace mox::storaged {

class LogFile {
  public:
    /// The log of the database at `path`, which SQLite has opened. Throws StoreFailure.
    LogFile(const std::string& path, Journal& journal);
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;

    /// The name of the VFS whose logs can be attached to a LogFile; registers it the first time.
    static const char* vfs();
    /// Leads the log of this connection here; SQLite's own connection stays with the file until then. False when the
    /// connection has no log, or not one of vfs().
    bool attach(sqlite3* connection);

    /// What was written since the last take(), as parts of a journal record; nothing when there is nothing.
    /// `sync_first` is to be durable before that record.
    struct Taken {
        std::vector<OwnedEntry> entries;
        std::shared_ptr<const Fd> sync_first;
        std::shared_ptr<const std::string> bytes;  // of the log
    };
    Taken take();
    /// Writes these bytes to the file once they are durable, unless that was done meanwhile. The process ends when it
    /// fails: their space was set aside, and they have been acknowledged.
    void settle(const std::shared_ptr<const std::string>& bytes);
    /// Writes what was taken last, which must be durable by now.
    void settle();
    /// Forgets what was written and what was taken: it could not be made durable.
    void discard();

    // ---- what SQLite calls; SQLite's result codes
    int read(sqlite3_file* real, void* out, int size, sqlite3_int64 offset);
    int write(const void* data, int size, sqlite3_int64 offset);
    int truncate(sqlite3_file* real, sqlite3_int64 size);
    int sync();
    int size(sqlite3_file* real, sqlite3_int64* size);

  private:
    int set_space_aside(uint64_t end);
    int spill();
    int write_through(uint64_t offset, std::string_view bytes);
    void sync_file();
    void write_taken();
    std::string path_;
    Journal& journal_;
    std::shared_ptr<const Fd> file_;
    uint64_t begin_ = 0;      // of `written_` in the file
    std::string written_;     // by the transaction under way
    bool spilled_ = false;    // parts of it are in the file
    uint64_t set_aside_ = 0;  // bytes of the file that have blocks
    std::mutex mutex_;        // guards what follows
    uint64_t taken_begin_ = 0;
    std::shared_ptr<const std::string> taken_;
};

}  // namespace mox::storaged
