// DatabaseCopy: a copy of a database that is in use, as of one moment, made a few pages at a time.
//
// SQLite's own online backup. Between two steps other operations of the strand may change the database: they go through
// the same connection, and SQLite carries what they change over into the copy. The database must be the same, open all
// the time; is_of() says so. In the worker threads, one at a time.
#pragma once

#include <memory>
#include <sqlite3.h>
#include <string>

#include "storaged/sql.h"

namespace mox::storaged {

class DatabaseCopy {
  public:
    /// Begins to copy into a new file. Throws StoreFailure.
    DatabaseCopy(Database& from, const std::string& path);
    ~DatabaseCopy();
    DatabaseCopy(const DatabaseCopy&) = delete;
    DatabaseCopy& operator=(const DatabaseCopy&) = delete;

    bool is_of(Database& database) const { return log_.lock() == database.log(); }
    /// Copies some pages; true when all is copied.
    bool step();
    /// Behind the last step: leaves out what is only true of a store in use, a clean end and files to be erased. The
    /// file is complete then.
    void finish();
    /// For a statement on the finished copy with two values, until the next or until this is destroyed.
    Query query(const char* sql, uint64_t first, uint64_t last);

  private:
    [[noreturn]] void fail(int code);
    std::weak_ptr<LogFile> log_;  // the connection's: another one, another database
    sqlite3* to_ = nullptr;
    sqlite3_backup* backup_ = nullptr;
    sqlite3_stmt* statement_ = nullptr;
};

}  // namespace mox::storaged
