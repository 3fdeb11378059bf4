#include "storaged/database_copy.h"

#include <cerrno>
#include <fmt/format.h>

namespace mox::storaged {
namespace {

constexpr int kPagesAtOnce = 2000;  // 8 MiB: a few milliseconds

}  // namespace

DatabaseCopy::DatabaseCopy(Database& from, const std::string& path) : log_(from.log()) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    int result = sqlite3_open_v2(path.c_str(), &to_, flags, nullptr);
    if (result != SQLITE_OK) fail(result);
    // Whoever keeps the copy makes it durable.
    result = sqlite3_exec(to_, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;",
                          nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) fail(result);
    backup_ = sqlite3_backup_init(to_, "main", from.connection_, "main");
    if (backup_ == nullptr) fail(sqlite3_errcode(to_));
}

DatabaseCopy::~DatabaseCopy() {
    sqlite3_finalize(statement_);
    sqlite3_backup_finish(backup_);
    sqlite3_close_v2(to_);
}

void DatabaseCopy::fail(int code) {
    std::string text = to_ != nullptr ? sqlite3_errmsg(to_) : sqlite3_errstr(code);
    int number = to_ != nullptr ? sqlite3_system_errno(to_) : EIO;
    sqlite3_finalize(std::exchange(statement_, nullptr));
    sqlite3_backup_finish(std::exchange(backup_, nullptr));
    sqlite3_close_v2(std::exchange(to_, nullptr));
    throw StoreFailure(error_of_errno((code & 0xff) == SQLITE_FULL ? ENOSPC : number),
                       fmt::format("copying a database: {} ({})", text, code));
}

bool DatabaseCopy::step() {
    int result = sqlite3_backup_step(backup_, kPagesAtOnce);
    if (result == SQLITE_DONE) return true;
    if (result != SQLITE_OK && result != SQLITE_BUSY && result != SQLITE_LOCKED) fail(result);
    return false;
}

void DatabaseCopy::finish() {
    int result = sqlite3_backup_finish(std::exchange(backup_, nullptr));
    if (result != SQLITE_OK) fail(result);
    result = sqlite3_exec(to_, "UPDATE state SET clean = 0; DELETE FROM erase; PRAGMA journal_mode=DELETE;", nullptr,
                          nullptr, nullptr);
    if (result != SQLITE_OK) fail(result);
}

Query DatabaseCopy::query(const char* sql, uint64_t first, uint64_t last) {
    sqlite3_finalize(std::exchange(statement_, nullptr));
    int result = sqlite3_prepare_v2(to_, sql, -1, &statement_, nullptr);
    if (result != SQLITE_OK) fail(result);
    Query query(statement_);
    query.bind_all(first, last);
    return query;
}

}  // namespace mox::storaged
