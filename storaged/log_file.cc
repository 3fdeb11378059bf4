#include "storaged/log_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "common/log/log.h"
#include "storaged/failure.h"
#include "storaged/files.h"

namespace mox::storaged {
namespace {

constexpr uint64_t kSetAside = 256u << 10;  // bytes of log that get their blocks at a time
constexpr size_t kLogHeader = 32;  // of SQLite's log: https://www.sqlite.org/fileformat.html#the_write_ahead_log

int result_of_errno(int otherwise) {
    return errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL : otherwise;
}

// ---- the shim. SQLite's own file follows ours in the memory that SQLite sets aside for an open file.

struct ShimFile {
    sqlite3_file base;
    LogFile* log;  // null: everything goes to the real file
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

ShimFile& shim(sqlite3_file* file) {
    return *reinterpret_cast<ShimFile*>(file);
}
sqlite3_file* real(sqlite3_file* file) {
    return shim(file).real();
}

int shim_close(sqlite3_file* file) {
    return real(file)->pMethods->xClose(real(file));
}
int shim_read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    LogFile* log = shim(file).log;
    return log != nullptr ? log->read(real(file), out, size, offset)
                          : real(file)->pMethods->xRead(real(file), out, size, offset);
}
int shim_write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    LogFile* log = shim(file).log;
    return log != nullptr ? log->write(data, size, offset)
                          : real(file)->pMethods->xWrite(real(file), data, size, offset);
}
int shim_truncate(sqlite3_file* file, sqlite3_int64 size) {
    LogFile* log = shim(file).log;
    return log != nullptr ? log->truncate(real(file), size) : real(file)->pMethods->xTruncate(real(file), size);
}
int shim_sync(sqlite3_file* file, int flags) {
    LogFile* log = shim(file).log;
    return log != nullptr ? log->sync() : real(file)->pMethods->xSync(real(file), flags);
}
int shim_size(sqlite3_file* file, sqlite3_int64* size) {
    LogFile* log = shim(file).log;
    return log != nullptr ? log->size(real(file), size) : real(file)->pMethods->xFileSize(real(file), size);
}
int shim_lock(sqlite3_file* file, int lock) {
    return real(file)->pMethods->xLock(real(file), lock);
}
int shim_unlock(sqlite3_file* file, int lock) {
    return real(file)->pMethods->xUnlock(real(file), lock);
}
int shim_check_lock(sqlite3_file* file, int* reserved) {
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}
int shim_control(sqlite3_file* file, int operation, void* argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int shim_sector_size(sqlite3_file* file) {
    return real(file)->pMethods->xSectorSize(real(file));
}
int shim_characteristics(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

// Version 1: no shared memory and no memory mapping, which a log does not use.
constexpr sqlite3_io_methods kShimMethods = {
    .iVersion = 1,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_characteristics,
};

sqlite3_vfs* real_vfs() {
    return sqlite3_vfs_find(nullptr);
}

int shim_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    if ((flags & SQLITE_OPEN_WAL) == 0) return real_vfs()->xOpen(real_vfs(), name, file, flags, out_flags);
    ShimFile& opened = shim(file);
    opened.base.pMethods = nullptr;
    opened.log = nullptr;
    int result = real_vfs()->xOpen(real_vfs(), name, opened.real(), flags, out_flags);
    if (result == SQLITE_OK) opened.base.pMethods = &kShimMethods;
    return result;
}

}  // namespace

const char* LogFile::vfs() {
    static sqlite3_vfs vfs = [] {
        sqlite3_vfs made = *real_vfs();
        made.pNext = nullptr;
        made.zName = "mox";
        made.szOsFile += static_cast<int>(sizeof(ShimFile));
        made.xOpen = shim_open;
        return made;
    }();
    static int registered = sqlite3_vfs_register(&vfs, 0);
    return registered == SQLITE_OK ? "mox" : nullptr;
}

LogFile::LogFile(const std::string& path, Journal& journal) : path_(path + "-wal"), journal_(journal) {
    Fd fd(open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) fail_errno("opening a database log");
    // SQLite may just have made it, and what goes through the journal does not make its name durable.
    if (lseek(fd.get(), 0, SEEK_END) == 0) sync_directory(directory_of(path_));
    file_ = std::make_shared<const Fd>(std::move(fd));
}

bool LogFile::attach(sqlite3* connection) {
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&file)) != SQLITE_OK)
        return false;
    if (file == nullptr || file->pMethods != &kShimMethods) return false;
    shim(file).log = this;
    return true;
}

LogFile::Taken LogFile::take() {
    Taken taken;
    if (spilled_) {
        // The file up to here is synced before the record is written; what earlier records say of it is void then.
        taken.sync_first = file_;
        taken.entries.push_back({EntryKind::forget, path_, 0, {}});
    }
    spilled_ = false;
    if (written_.empty()) return taken;
    auto bytes = std::make_shared<const std::string>(std::move(written_));
    written_.clear();
    taken.entries.push_back({EntryKind::log, path_, begin_, bytes});
    taken.bytes = bytes;
    std::lock_guard lock(mutex_);
    taken_begin_ = begin_;
    taken_ = std::move(bytes);
    return taken;
}

// The journal's thread may come to it when the strand has settled these bytes itself, and taken the next ones: those
// are not in the journal yet, and a commit in the file without it would be one without its packs.
void LogFile::settle(const std::shared_ptr<const std::string>& bytes) {
    std::lock_guard lock(mutex_);
    if (taken_ == bytes) write_taken();
}

void LogFile::settle() {
    std::lock_guard lock(mutex_);
    write_taken();
}

void LogFile::write_taken() {
    if (taken_ == nullptr) return;
    if (!write_all(*file_, *taken_, taken_begin_))
        log::fatal("a database log cannot be written, although it is acknowledged: ending, to replay the journal",
                   {{"log", path_}, {"error", std::strerror(errno)}});
    taken_.reset();
}

void LogFile::discard() {
    std::lock_guard lock(mutex_);
    taken_.reset();
    written_.clear();
    spilled_ = false;
}

int LogFile::read(sqlite3_file* real, void* out, int size, sqlite3_int64 offset) {
    auto from = static_cast<uint64_t>(offset);
    uint64_t to = from + static_cast<uint64_t>(size);
    uint64_t end = begin_ + written_.size();
    auto* bytes = static_cast<char*>(out);
    if (written_.empty() || to <= begin_ || from >= end) return real->pMethods->xRead(real, out, size, offset);
    int result = SQLITE_OK;
    if (from < begin_ || to > end) result = real->pMethods->xRead(real, out, size, offset);
    uint64_t first = std::max(from, begin_);
    uint64_t last = std::min(to, end);
    std::memcpy(bytes + (first - from), written_.data() + (first - begin_), last - first);
    // A short read has filled up with zeros what the file does not have; it is whole when we had the rest.
    if (result == SQLITE_IOERR_SHORT_READ && to <= end) result = SQLITE_OK;
    return result;
}

int LogFile::write(const void* data, int size, sqlite3_int64 offset) {
    std::string_view bytes(static_cast<const char*>(data), static_cast<size_t>(size));
    auto at = static_cast<uint64_t>(offset);
    bool joins = written_.empty() || (at >= begin_ && at <= begin_ + written_.size());
    // Spilling comes before the write that is too much, so that the end of a transaction is always kept back.
    if (!joins || written_.size() + bytes.size() > journal_.max_log_write())
        if (int result = spill(); result != SQLITE_OK) return result;
    if (int result = set_space_aside(at + bytes.size()); result != SQLITE_OK) return result;
    if (written_.empty()) begin_ = at;
    size_t from = at - begin_;
    if (from + bytes.size() > written_.size()) written_.resize(from + bytes.size());
    std::memcpy(written_.data() + from, bytes.data(), bytes.size());
    return SQLITE_OK;
}

// Once the journal has the bytes, writing them to the file must not fail for want of space.
int LogFile::set_space_aside(uint64_t end) {
    if (end <= set_aside_) return SQLITE_OK;
    uint64_t length = end - set_aside_ + kSetAside;
    if (fallocate(file_->get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(set_aside_), static_cast<off_t>(length)) != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS) return SQLITE_OK;
        return result_of_errno(SQLITE_IOERR_WRITE);
    }
    set_aside_ += length;
    return SQLITE_OK;
}

// A new header goes to the disk first: behind an old one, some of the new frames might leave a part of the old log
// looking like the newest commit.
int LogFile::write_through(uint64_t offset, std::string_view bytes) {
    if (offset == 0 && bytes.size() >= kLogHeader) {
        if (!write_all(*file_, bytes.substr(0, kLogHeader), 0)) return result_of_errno(SQLITE_IOERR_WRITE);
        sync_file();
        bytes.remove_prefix(kLogHeader);
        offset = kLogHeader;
    }
    return write_all(*file_, bytes, offset) ? SQLITE_OK : result_of_errno(SQLITE_IOERR_WRITE);
}

/// What a failed sync leaves on disk cannot be known, and the next one would say that all is well.
void LogFile::sync_file() {
    if (fdatasync(file_->get()) != 0)
        log::fatal("the disk failed: ending, so that nothing is acknowledged wrongly",
                   {{"doing", "syncing a database log"}, {"log", path_}, {"error", std::strerror(errno)}});
}

int LogFile::spill() {
    settle();
    spilled_ = true;
    if (int result = write_through(begin_, written_); result != SQLITE_OK) return result;
    written_.clear();
    return SQLITE_OK;
}

int LogFile::truncate(sqlite3_file* real, sqlite3_int64 size) {
    settle();
    if (static_cast<uint64_t>(size) < begin_ + written_.size()) written_.clear();
    set_aside_ = 0;
    return real->pMethods->xTruncate(real, size);
}

// Called by SQLite before it moves the log into the database, and behind a new header. What went through the journal is
// durable already. A commit comes into the file when the journal's earlier records of it are void: if that cannot be
// said the file must be as they tell it, since later records will go on from there.
int LogFile::sync() {
    settle();
    if (written_.empty() && !spilled_) return SQLITE_OK;
    // The header alone: its frames follow, and go to the disk behind it.
    if (!spilled_ && begin_ == 0 && written_.size() == kLogHeader) return SQLITE_OK;
    sync_file();
    if (journal_.forget(path_) != 0) return SQLITE_IOERR_FSYNC;
    if (int result = spill(); result != SQLITE_OK) return result;
    sync_file();
    spilled_ = false;
    return SQLITE_OK;
}

int LogFile::size(sqlite3_file* real, sqlite3_int64* size) {
    int result = real->pMethods->xFileSize(real, size);
    if (!written_.empty()) *size = std::max(*size, static_cast<sqlite3_int64>(begin_ + written_.size()));
    return result;
}

}  // namespace mox::storaged
