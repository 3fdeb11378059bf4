// A small, exact layer over SQLite: a database with one connection, and statements that are prepared once and reused.
//
// Not thread-safe: a Database belongs to one strand, whose operations run one after the other. Failures are thrown as
// StoreFailure. Entry points: Database::run for statements without rows, Database::query for those with.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "storaged/failure.h"
#include "storaged/log_file.h"

namespace mox::storaged {

/// Bytes that are not text.
struct Blob {
    std::string_view bytes;
};

/// A statement in use: its rows one after the other. Given back to the cache when destroyed.
class Query {
  public:
    explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
    ~Query();
    Query(Query&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
    Query& operator=(Query&&) = delete;

    /// Goes to the next row; false when there is none.
    bool next();
    /// Columns of the present row, from 0.
    int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
    uint32_t small(int column) const { return static_cast<uint32_t>(integer(column)); }
    bool flag(int column) const { return integer(column) != 0; }
    bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    /// Until the next row.
    std::string_view view(int column) const;
    std::string bytes(int column) const { return std::string(view(column)); }

    template <class... A>
    void bind_all(const A&... values) {
        int index = 0;
        (bind(++index, values), ...);
    }

  private:
    template <std::integral N>
    void bind(int index, N value) {
        check(sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(value)));
    }
    void bind(int index, std::string_view text);
    void bind(int index, Blob blob);
    template <class T>
    void bind(int index, const std::optional<T>& value) {
        if (value) bind(index, *value);
    }
    void check(int result);
    sqlite3_stmt* statement_;
};

class Database {
  public:
    /// Opens the file (relative to the working directory), creates it when missing, and sets what all our databases
    /// share: WAL, one connection that holds the lock, bounded cache, a log that goes through the journal.
    Database(const std::string& path, Journal& journal);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// Statements with rows. `sql` is a literal: its address is the key of the cache.
    template <class... A>
    Query query(const char* sql, const A&... values) {
        Query q(prepare(sql));
        q.bind_all(values...);
        return q;
    }
    /// A statement to be run to its end; rows changed.
    ///
    /// In what an operation does for each of many messages: no RETURNING, and a key in WHERE. SQLite undoes other
    /// statements by themselves when they fail, and to forget how, after each, walks along all that the operation has
    /// changed so far.
    template <class... A>
    int64_t run(const char* sql, const A&... values) {
        {
            Query q(prepare(sql));
            q.bind_all(values...);
            while (q.next()) continue;
        }
        return sqlite3_changes64(connection_);
    }
    /// Several statements without values.
    void execute(const char* sql);

    bool in_transaction() const { return sqlite3_get_autocommit(connection_) == 0; }
    int64_t last_id() const { return sqlite3_last_insert_rowid(connection_); }
    /// What was committed waits here until the journal has made it durable.
    const std::shared_ptr<LogFile>& log() const { return log_; }
    /// Makes all commits up to now durable without the strand; false when the disk failed.
    bool sync_log() { return log_->sync() == SQLITE_OK; }
    /// Pages in the log since it was last emptied into the database.
    int log_pages() const { return log_pages_; }
    /// Moves the log into the database file. Not durable work: nothing is lost when it fails.
    void checkpoint();
    /// Moves all of the log and truncates it; false when that failed.
    bool checkpoint_and_truncate();

  private:
    friend class DatabaseCopy;
    sqlite3_stmt* prepare(const char* sql);
    std::shared_ptr<LogFile> log_;
    sqlite3* connection_ = nullptr;
    std::unordered_map<const char*, sqlite3_stmt*> statements_;
    int log_pages_ = 0;
};

}  // namespace mox::storaged
