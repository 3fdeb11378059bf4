#include "storaged/sql.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

// Readers get a few hundred pages each; what a long answer needs is streamed, so more would only cost memory.
constexpr const char* kSettings =
    "PRAGMA locking_mode=EXCLUSIVE;"  // one connection: no shared memory file, no lock calls
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=NORMAL;"    // durable by the journal (log_file.h)
    "PRAGMA wal_autocheckpoint=0;"  // by the strand, after the answers are out
    "PRAGMA journal_size_limit=4194304;"
    "PRAGMA cache_size=-512;"  // KiB
    "PRAGMA mmap_size=0;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA foreign_keys=ON;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;"
    "SELECT count(*) FROM sqlite_schema;";  // opens the log, and recovers it

Error error_of_sqlite(int code) {
    switch (code & 0xff) {
        case SQLITE_FULL:
            return {Persistence::temporary, ErrorCode::no_space, "no space left for mail"};
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR:
            return {Persistence::temporary, ErrorCode::io, "the disk failed"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {Persistence::temporary, ErrorCode::io, "the database is damaged"};
        default:
            return {Persistence::temporary, ErrorCode::internal, "the database failed"};
    }
}

[[noreturn]] void fail(sqlite3* connection, int code) {
    int number = connection != nullptr ? sqlite3_system_errno(connection) : 0;
    Error error = error_of_sqlite(code);
    if ((code & 0xff) == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT)) error = error_of_errno(number);
    const char* text = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
    throw StoreFailure(std::move(error), fmt::format("SQLite: {} ({}, errno {})", text, code, number));
}

/// SQLite's own count of its memory takes a lock of all threads at each allocation.
void configure_once() {
    static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    static_cast<void>(once);
}

int count_log_pages(void* pages, sqlite3*, const char*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
}

}  // namespace

Error error_of_errno(int number) {
    switch (number) {
        case ENOSPC:
        case EDQUOT:
            return {Persistence::temporary, ErrorCode::no_space, "no space left for mail"};
        case EIO:
        case EROFS:
            return {Persistence::temporary, ErrorCode::io, "the disk failed"};
        case EMFILE:
        case ENFILE:
            return {Persistence::temporary, ErrorCode::busy, "too many open files"};
        default:
            return {Persistence::temporary, ErrorCode::internal, "a file operation failed"};
    }
}

void fail_errno(std::string_view doing) {
    int number = errno;
    throw StoreFailure(error_of_errno(number), fmt::format("{}: {}", doing, std::strerror(number)));
}

Query::~Query() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

void Query::check(int result) {
    if (result != SQLITE_OK) fail(sqlite3_db_handle(statement_), result);
}

bool Query::next() {
    int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    fail(sqlite3_db_handle(statement_), sqlite3_extended_errcode(sqlite3_db_handle(statement_)));
}

std::string_view Query::view(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

void Query::bind(int index, std::string_view text) {
    const char* data = text.data() != nullptr ? text.data() : "";
    check(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Query::bind(int index, Blob blob) {
    const char* data = blob.bytes.data() != nullptr ? blob.bytes.data() : "";
    check(sqlite3_bind_blob64(statement_, index, data, blob.bytes.size(), SQLITE_TRANSIENT));
}

Database::Database(const std::string& path, Journal& journal) {
    configure_once();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    int result = sqlite3_open_v2(path.c_str(), &connection_, flags, LogFile::vfs());
    try {
        if (result != SQLITE_OK) fail(connection_, result);
        sqlite3_extended_result_codes(connection_, 1);
        // Closing moves nothing: what was not made durable must not get into the database by it.
        sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        execute(kSettings);
        log_ = std::make_shared<LogFile>(path, journal);
        if (!log_->attach(connection_)) fail(connection_, SQLITE_MISUSE);
        sqlite3_wal_hook(connection_, count_log_pages, &log_pages_);
    } catch (...) {
        sqlite3_close_v2(connection_);
        throw;
    }
}

Database::~Database() {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close_v2(connection_);
}

sqlite3_stmt* Database::prepare(const char* sql) {
    auto [entry, is_new] = statements_.try_emplace(sql, nullptr);
    if (!is_new) return entry->second;
    int result = sqlite3_prepare_v3(connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &entry->second, nullptr);
    if (result != SQLITE_OK) {
        statements_.erase(entry);
        fail(connection_, result);
    }
    return entry->second;
}

void Database::execute(const char* sql) {
    int result = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) fail(connection_, result);
}

void Database::checkpoint() {
    int pages = 0;
    int moved = 0;
    int result = sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (result == SQLITE_OK && pages == moved) log_pages_ = 0;
    // Nothing is lost: the log keeps what could not be moved, and is moved again as a whole next time.
    if (result != SQLITE_OK)
        log::warn("cannot move a database log into its database", {{"error", sqlite3_errmsg(connection_)}});
}

bool Database::checkpoint_and_truncate() {
    log_pages_ = 0;
    return sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) == SQLITE_OK;
}

}  // namespace mox::storaged
