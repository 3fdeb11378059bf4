#include "storaged/check.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sys/stat.h>

#include "storaged/snapshot.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxOfOne = 20;  // rows named for one check

void check_with(Store& store, const Check& check, Problems& problems) {
    auto rows = store.db().query(check.sql);
    for (size_t n = 0; rows.next(); n++) {
        if (n == kMaxOfOne) return problems.add(fmt::format("{}: and more", check.wrong));
        problems.add(fmt::format("{}: {}", check.wrong, rows.bytes(0)));
    }
}

void check_database(Store& store, Problems& problems) {
    auto version = store.db().query("PRAGMA user_version");
    if (!version.next() || version.integer(0) != store.newest_version())
        problems.add(fmt::format("schema version {}, expected {}", version.integer(0), store.newest_version()));
    auto pages = store.db().query("PRAGMA integrity_check(20)");
    while (pages.next())
        if (std::string text = pages.bytes(0); text != "ok") problems.add("database: " + text);
    auto keys = store.db().query("PRAGMA foreign_key_check");
    if (keys.next()) problems.add("database: a reference to a row that is missing, in table " + keys.bytes(0));
}

std::map<uint64_t, proto::FileRow> rows_of(Store& store, uint64_t directory) {
    std::map<uint64_t, proto::FileRow> found;
    uint64_t first = directory << kDirectoryShift;
    auto rows = store.db().query(store.files_sql(), first, first + (uint64_t{1} << kDirectoryShift) - 1);
    while (rows.next()) found[rows.number(0)] = file_row(rows);
    return found;
}

bool is_to_be_erased(Store& store, uint64_t file) {
    return store.db().query("SELECT 1 FROM erase WHERE file = ?", file).next();
}

void check_file(const FileTree& tree, const proto::FileRow& row, Problems& problems) {
    struct stat st{};
    std::string path = tree.path_of(row.number);
    if (lstat(path.c_str(), &st) != 0) {
        if (errno != ENOENT) fail_errno("looking at a message file");
        problems.add(fmt::format("message file {} is missing", row.number));
    } else if (!S_ISREG(st.st_mode) || !is_size_of(row.kind, static_cast<uint64_t>(st.st_size), row.size)) {
        problems.add(fmt::format("message file {} has {} bytes, expected {}", row.number, st.st_size, row.size));
    }
}

}  // namespace

void Problems::add(std::string text) {
    if (texts_.size() < kMax)
        texts_.push_back(std::move(text));
    else
        more_++;
}

std::vector<std::string> Problems::take() {
    if (more_ > 0) texts_.push_back(fmt::format("and {} more", more_));
    return std::move(texts_);
}

void check_rows(Store& store, Problems& problems) {
    check_database(store, problems);
    for (const Check& check : store.checks()) check_with(store, check, problems);
}

uint64_t check_part(Store& store, uint64_t from, Repair repair, Problems& problems, uint64_t& repaired) {
    return store.check_part(from, repair, [&](std::string problem) {
        bool drops = repair == Repair::drop_damaged;
        problems.add(std::move(problem) + (drops ? ": dropped" : ""));
        repaired += drops;
    });
}

std::vector<uint64_t> directories_to_check(Store& store) {
    std::vector<uint64_t> there = directories_of(store.tree());
    std::set<uint64_t> all(there.begin(), there.end());
    auto rows = store.db().query(store.files_sql(), 0, INT64_MAX);
    while (rows.next()) all.insert(rows.number(0) >> kDirectoryShift);
    return {all.begin(), all.end()};
}

FilesChecked check_directory(Store& store, uint64_t directory, proto::Strays strays, Problems& problems) {
    FilesChecked checked;
    std::map<uint64_t, proto::FileRow> rows = rows_of(store, directory);
    for (const auto& [file, row] : rows) {
        check_file(store.tree(), row, problems);
        if (row.kind == proto::FileKind::message)
            checked.known++;
        else
            checked.unread.push_back(row);
    }
    for (uint64_t file : files_in(store.tree(), directory)) {
        if (rows.contains(file) || is_to_be_erased(store, file)) continue;
        problems.add(fmt::format("file {} belongs to no message{}", file,
                                 strays == proto::Strays::move_aside ? ": moved aside" : ""));
        if (strays == proto::Strays::leave) continue;
        put_aside(store.tree(), file);
        checked.moved_aside++;
    }
    return checked;
}

uint64_t check_contents(Store& store, const proto::FileRow& file, Problems& problems) {
    return store.check_contents(file, [&](std::string problem) { problems.add(std::move(problem)); });
}

std::vector<std::string> check_store(Store& store) {
    Problems problems;
    check_rows(store, problems);
    uint64_t repaired = 0;
    for (uint64_t part = check_part(store, 0, Repair::leave, problems, repaired); part != 0;)
        part = check_part(store, part, Repair::leave, problems, repaired);
    for (uint64_t directory : directories_to_check(store))
        for (const auto& file : check_directory(store, directory, proto::Strays::leave, problems).unread)
            check_contents(store, file, problems);
    return problems.take();
}

}  // namespace mox::storaged
