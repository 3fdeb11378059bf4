// Store: a database and the numbered, immutable files its rows speak of. The account's store and the queue's derive
// from it.
//
// Runs in the worker threads, one operation at a time (strand.h). Invariant: a durable row always has its file, because
// the journal makes both durable in one record, or the file before the row; and the file's number is put into `erase`
// in the transaction that drops its last row, before the file is unlinked. So after any crash: numbers in `erase` may
// be unlinked; files that no row and no `erase` knows were never acknowledged, and are put aside, not deleted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storaged/content.h"
#include "storaged/counters.h"
#include "storaged/files.h"
#include "storaged/rights.h"
#include "storaged/sql.h"

namespace mox::storaged {

/// What an operation did that others must hear of or that has to be done once it is durable.
struct Effects {
    std::map<uint64_t, uint64_t> changed;  // mailbox: its highest modseq
    bool list_changed = false;
    std::shared_ptr<const Shares> shares;  // when they have changed
    bool queue_grew = false;
    bool index_due = false;           // the index of words, or of senders, has something to do
    bool learning_due = false;        // there are messages whose words are to be learned
    bool rewrite_due = false;         // there are packs to be rewritten
    bool compress_due = false;        // there are large messages that were not compressed yet
    std::vector<uint64_t> erased;     // files whose last row is gone
    std::vector<uint64_t> placed;     // files that were put into the tree
    std::vector<OwnedEntry> entries;  // for the journal
    std::vector<std::shared_ptr<const Fd>> sync_first;

    void merge(Effects&& other);
};

/// Statements that bring the schema from version n to n + 1, in order. The first makes a new database.
using Upgrades = std::span<const char* const>;

/// A statement whose rows are what is wrong, each a text, and what that is.
struct Check {
    const char* sql;
    const char* wrong;
};

/// What becomes of what is damaged but not needed.
enum class Repair : uint8_t { leave, drop_damaged, kEnd };

class Store {
  public:
    /// `database` is a path; directories above it are made. A store without files has no tree. The tables `state` and
    /// `erase` are the Store's own.
    Store(std::string database, FileTree tree, Upgrades upgrades, Journal& journal, Counters& counters);
    virtual ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    bool is_open() const { return db_ != nullptr; }
    /// Opens, upgrades, and after an unclean end puts things right.
    void open();
    /// Notes the clean end and closes. Nothing may be waiting to be synced.
    void close();
    /// Closes without any write: after a failure the state of the connection is not to be relied upon.
    void abandon();

    /// Around all operations of one commit. The first write since the opening takes the clean mark away.
    void begin();
    void commit();
    void roll_back() noexcept;
    /// In a transaction whose effects go to the journal: files that were unlinked since the last one.
    void forget_erased();
    /// Around one operation of several in a commit.
    void begin_operation();
    /// What it kept in memory goes to its files. Throws StoreFailure: then it is to be undone.
    virtual void finish_operation() {}
    void keep_operation();
    void undo_operation();

    Database& db() { return *db_; }
    const FileTree& tree() const { return tree_; }
    /// Of the operation under way.
    Effects& effects() { return operation_effects_; }
    /// The effects of what was committed, to be acted on once it is durable.
    Effects take_effects();
    /// Puts a file at this path, which nobody can change, into the tree as a new one, whose row is to be made in the
    /// same operation; its number. Synced before the commit, undone with the operation.
    uint64_t place_file(const std::string& path, std::shared_ptr<const Fd> file);
    /// A number for a file, or a content, that was never used; taken back with the operation.
    uint64_t take_number();
    /// No row speaks of this file any more.
    void note_file_unused(uint64_t file);
    /// These were unlinked: forgets them with the next commit. From any thread.
    void files_erased(std::vector<uint64_t> files);

    /// What has to be true of the rows at any time (check.h).
    virtual std::span<const Check> checks() const = 0;
    /// Looks at a part of what those do not reach, from one on; the part to go on with, 0 at the end. What is damaged
    /// and can do without is dropped with Repair::drop_damaged, in an operation that writes.
    virtual uint64_t check_part(uint64_t, Repair, const std::function<void(std::string)>&) { return 0; }
    /// A statement for (number, size, proto::FileKind) of the files that rows speak of, ascending, numbers ?1 to ?2.
    virtual const char* files_sql() const = 0;
    /// One for how many messages have the numbers ?1 to ?2.
    virtual const char* count_sql() const = 0;
    /// One for the random number that tells this store from others of its name, where numbers of files differ.
    virtual const char* history_sql() const = 0;
    /// Compares what is in a file with the rows; how many messages are whole.
    virtual uint64_t check_contents(const proto::FileRow&, const std::function<void(std::string)>&) { return 1; }
    int64_t newest_version() const { return static_cast<int64_t>(upgrades_.size()); }

  protected:
    /// After each commit, and when it is opened.
    virtual void note_use() {}
    /// What was kept in memory of the rows may not be true any more.
    virtual void forget_rows() noexcept {}
    Counters& counters() { return counters_; }
    /// After the creation of a new database, in its transaction.
    virtual void fill_new() = 0;
    virtual bool row_has_file(uint64_t file) = 0;
    /// The operation under way is undone.
    virtual void forget_operation() noexcept {}
    /// After an unclean end, in a transaction of its own: what is in the files beside what the rows say.
    virtual void recover_contents() {}
    /// A file without a row is about to be put aside.
    virtual void unpack_stray(uint64_t) {}

  private:
    void close_database();
    void create();
    void upgrade();
    void recover();
    void remove_placed(Effects& effects) noexcept;
    std::string path_;
    FileTree tree_;
    Upgrades upgrades_;
    Journal& journal_;
    Counters& counters_;
    std::unique_ptr<Database> db_;
    bool marked_clean_ = false;
    bool recovered_ = false;     // once in a Store's life: later on, files without rows are deliveries under way
    Effects effects_;            // of the operations kept
    Effects operation_effects_;  // of the operation under way
    std::mutex erased_mutex_;
    std::vector<uint64_t> erased_;
};

}  // namespace mox::storaged
