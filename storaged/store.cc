#include "storaged/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <iterator>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

// What is acknowledged reaches the disk by a syncfs of the data directory's file system.
void require_same_file_system(const std::string& directory) {
    struct stat here{};
    struct stat there{};
    if (stat(".", &here) != 0 || stat(directory.c_str(), &there) != 0) fail_errno("looking at a directory");
    if (here.st_dev == there.st_dev) return;
    log::error("a directory is on another file system than the data directory: mail there would not be safe",
               {{"directory", directory}});
    throw StoreFailure({Persistence::temporary, ErrorCode::unavailable, "the store is on another file system"},
                       "another file system");
}

}  // namespace

void Effects::merge(Effects&& other) {
    for (auto [mailbox, modseq] : other.changed) changed[mailbox] = std::max(changed[mailbox], modseq);
    list_changed |= other.list_changed;
    if (other.shares) shares = std::move(other.shares);
    queue_grew |= other.queue_grew;
    index_due |= other.index_due;
    learning_due |= other.learning_due;
    rewrite_due |= other.rewrite_due;
    compress_due |= other.compress_due;
    auto append = [](auto& to, auto& from) { std::ranges::move(from, std::back_inserter(to)); };
    append(erased, other.erased);
    append(placed, other.placed);
    append(entries, other.entries);
    append(sync_first, other.sync_first);
}

Store::Store(std::string database, FileTree tree, Upgrades upgrades, Journal& journal, Counters& counters)
    : path_(std::move(database)), tree_(std::move(tree)), upgrades_(upgrades), journal_(journal), counters_(counters) {}

Store::~Store() {
    close_database();
}

void Store::open() {
    make_directories(directory_of(path_));
    require_same_file_system(directory_of(path_));
    if (!tree_.root.empty()) {
        make_directories(tree_.root);
        require_same_file_system(tree_.root);
    }
    if (access(path_.c_str(), F_OK) != 0) create();
    db_ = std::make_unique<Database>(path_, journal_);
    counters_.open_stores++;
    try {
        upgrade();
        {
            auto state = db_->query("SELECT clean FROM state");
            marked_clean_ = state.next() && state.number(0) == journal_.era();
        }
        if (!marked_clean_ && !recovered_) recover();
        recovered_ = true;
        note_use();
    } catch (...) {
        abandon();
        throw;
    }
}

// Under another name, until it is whole and on disk: a crash leaves a database or none.
void Store::create() {
    struct stat st{};
    if (stat((path_ + "-wal").c_str(), &st) == 0 && st.st_size > 0) {
        log::error("a database is missing, but its log is there: neither is touched", {{"database", path_}});
        throw StoreFailure({Persistence::temporary, ErrorCode::io, "the database is missing"}, "database missing");
    }
    std::string path = path_ + ".new";
    for (const char* suffix : {"", "-wal", "-journal"}) unlink((path + suffix).c_str());
    db_ = std::make_unique<Database>(path, journal_);
    try {
        upgrade();
    } catch (...) {
        db_.reset();
        throw;
    }
    db_.reset();
    unlink((path + "-wal").c_str());
    if (rename(path.c_str(), path_.c_str()) != 0) fail_errno("making a database");
    std::string directory = directory_of(path_);
    sync_directory(directory);
    // Made by a process that ended before it could do this, perhaps.
    if (directory != ".") sync_directory(directory_of(directory));
}

void Store::upgrade() {
    int64_t version = 0;
    {
        auto row = db_->query("PRAGMA user_version");
        if (row.next()) version = row.integer(0);
    }
    auto newest = static_cast<int64_t>(upgrades_.size());
    if (version == newest) return;
    if (version > newest || version < 0) {
        log::error("a database was written by a newer version of the program: it is left alone",
                   {{"database", path_}, {"version", version}, {"known", newest}});
        throw StoreFailure({Persistence::temporary, ErrorCode::unavailable, "the store was written by a newer version"},
                           "schema too new");
    }
    if (version > 0) log::info("upgrading a database", {{"database", path_}, {"from", version}, {"to", newest}});
    db_->execute("BEGIN IMMEDIATE");
    try {
        for (int64_t i = version; i < newest; i++) db_->execute(upgrades_[static_cast<size_t>(i)]);
        if (version == 0) fill_new();
        db_->execute(fmt::format("PRAGMA user_version = {}", newest).c_str());
        db_->execute("COMMIT");
    } catch (...) {
        roll_back();
        throw;
    }
    if (!db_->checkpoint_and_truncate()) throw StoreFailure(error_of_errno(EIO), "checkpoint after upgrade");
}

// Whatever a crash left: names to be erased, links whose row was never committed, files beyond the last known number
// (an older database put back).
void Store::recover() {
    std::vector<LinkedFile> erase;
    uint64_t from = 0;
    {
        auto rows = db_->query("SELECT file FROM erase");
        while (rows.next()) erase.push_back({tree_, rows.number(0)});
        auto state = db_->query("SELECT clean_below FROM state");
        if (state.next()) from = state.number(0);
    }
    remove_files(erase);
    std::set<std::string> touched;
    for (const LinkedFile& file : erase) touched.insert(tree_.directory_of(file.file));
    uint64_t beyond = 1;
    {
        auto state = db_->query("SELECT next_file FROM state");
        if (state.next()) beyond = state.number(0);
    }
    for (uint64_t file : files_from(tree_, from)) {
        beyond = std::max(beyond, file + 1);
        if (row_has_file(file)) continue;
        unpack_stray(file);
        put_aside(tree_, file);
        touched.insert({tree_.directory_of(file), tree_.strays});
    }
    // On disk before the rows say that it was done.
    for (const std::string& directory : touched)
        if (access(directory.c_str(), F_OK) == 0) sync_directory(directory);
    begin();
    recover_contents();
    db_->run("DELETE FROM erase");
    db_->run("UPDATE state SET next_file = ?, clean_below = ?", beyond, beyond);
    commit();
    if (!db_->sync_log()) throw StoreFailure(error_of_errno(EIO), "syncing after recovery");
}

void Store::close() {
    if (db_ == nullptr) return;
    try {
        if (!marked_clean_) {
            begin();
            // Names that were to be erased and are not yet leave the work to the next opening.
            db_->run("UPDATE state SET clean = ?, clean_below = next_file WHERE NOT EXISTS (SELECT 1 FROM erase)",
                     journal_.era());
            commit();
        }
        if (!db_->checkpoint_and_truncate()) log::warn("cannot empty a database log", {{"database", path_}});
    } catch (const StoreFailure& failure) {
        log::warn("cannot close a database cleanly", {{"database", path_}, {"error", failure.what()}});
    }
    abandon();
}

void Store::abandon() {
    if (db_ != nullptr) forget_rows();
    close_database();
}

void Store::close_database() {
    if (db_ == nullptr) return;
    db_.reset();
    remove_placed(operation_effects_);
    remove_placed(effects_);
    counters_.open_stores--;
    // They are in the table still. What is opened under this name next may be another store.
    std::lock_guard lock(erased_mutex_);
    erased_.clear();
}

void Store::begin() {
    db_->execute("BEGIN IMMEDIATE");
    if (marked_clean_) db_->run("UPDATE state SET clean = 0");
}

void Store::commit() {
    db_->execute("COMMIT");
    marked_clean_ = false;
    counters_.transactions++;
    note_use();
}

void Store::roll_back() noexcept {
    forget_rows();
    remove_placed(operation_effects_);
    remove_placed(effects_);
    try {
        if (db_ != nullptr && db_->in_transaction()) db_->execute("ROLLBACK");
    } catch (const StoreFailure& failure) {
        log::error("cannot roll back", {{"database", path_}, {"error", failure.what()}});
    }
}

void Store::begin_operation() {
    operation_effects_ = {};
    db_->run("SAVEPOINT operation");
}

void Store::keep_operation() {
    db_->run("RELEASE operation");
    effects_.merge(std::move(operation_effects_));
    operation_effects_ = {};
}

void Store::undo_operation() {
    forget_operation();
    remove_placed(operation_effects_);
    db_->run("ROLLBACK TO operation");
    db_->run("RELEASE operation");
}

Effects Store::take_effects() {
    return std::exchange(effects_, {});
}

uint64_t Store::take_number() {
    uint64_t number = 0;
    {
        auto state = db_->query("SELECT next_file FROM state");
        if (state.next()) number = state.number(0);
    }
    db_->run("UPDATE state SET next_file = next_file + 1 WHERE id = 1");
    return number;
}

uint64_t Store::place_file(const std::string& path, std::shared_ptr<const Fd> file) {
    uint64_t number = take_number();
    if (!link_file(path, {tree_, number})) {
        errno = ENOENT;
        fail_errno("linking a message file");
    }
    Effects& effects = operation_effects_;
    effects.placed.push_back(number);
    effects.sync_first.push_back(std::move(file));
    effects.sync_first.push_back(std::make_shared<const Fd>(open_directory(tree_.directory_of(number))));
    return number;
}

/// Also forgets all else of an operation, or of a batch, that did not come about.
void Store::remove_placed(Effects& effects) noexcept {
    for (uint64_t file : effects.placed)
        if (unlink(tree_.path_of(file).c_str()) != 0 && errno != ENOENT)
            log::warn("cannot remove a file", {{"file", file}, {"error", std::strerror(errno)}});
    effects = {};
}

void Store::note_file_unused(uint64_t file) {
    db_->run("INSERT OR IGNORE INTO erase (file) VALUES (?)", file);
    operation_effects_.erased.push_back(file);
}

void Store::files_erased(std::vector<uint64_t> files) {
    std::lock_guard lock(erased_mutex_);
    erased_.insert(erased_.end(), files.begin(), files.end());
}

// If this commit fails the numbers stay in the table, and the next opening unlinks what is no longer there: harmless,
// because numbers are never used again.
void Store::forget_erased() {
    std::vector<uint64_t> files;
    {
        std::lock_guard lock(erased_mutex_);
        files.swap(erased_);
    }
    for (uint64_t file : files) {
        db_->run("DELETE FROM erase WHERE file = ?", file);
        // Else a replay might bring back what was erased.
        effects_.entries.push_back({EntryKind::gone, tree_.path_of(file), 0, {}});
    }
}

}  // namespace mox::storaged
