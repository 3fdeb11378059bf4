#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/pack/compression.h"
#include "storaged/packs.h"
#include "storaged/store.h"

// What becomes of packs when messages have gone: what is still needed moves to the current pack, some records at a
// time, each time in one operation with the change of their rows; the old pack goes with the last. And what is found in
// packs when they are checked, or after a crash.

namespace mox::storaged {
namespace {

constexpr uint64_t kMaxGrowth = 16;  // of records that are put aside, against what they take in their pack
constexpr uint64_t kFileCost = 512;  // of a file, in that

bool is_readable(const pack::RecordHead& head, std::string_view stored) {
    return pack::is_whole(head, stored) && pack::restore({head, stored});
}

}  // namespace

Packs::Row Packs::next_to_rewrite() {
    auto row = store_.db().query("SELECT id, size, moved FROM pack WHERE rewrite = 1 ORDER BY id LIMIT 1");
    return row.next() ? Row{row.number(0), row.number(1), row.number(2)} : Row{};
}

bool Packs::rewrite() {
    Row row = next_to_rewrite();
    if (row.id == 0) return false;
    rewrite_some(row);
    return true;
}

bool Packs::is_live(uint64_t pack, uint64_t offset, const pack::RecordHead& head) {
    return store_.db()
        .query("SELECT 1 FROM content WHERE id = ? AND file = ? AND offset = ?", head.content, pack, offset)
        .next();
}

void Packs::move_record(const Row& from, uint64_t offset, const pack::Record& record) {
    const pack::RecordHead& head = record.head;
    ContentPlace place = add(head.content, head.size, head.method, record.stored);
    store_.db().run("UPDATE content SET file = ?, offset = ? WHERE id = ?", place.file, place.offset, head.content);
    drop({from.id, offset, head.length, head.method});
}

/// A slice of the pack. A record that is damaged stays where it is, and with it the pack: nothing is lost by tidying.
void Packs::rewrite_some(const Row& row) {
    Fd file(open(store_.tree().path_of(row.id).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno != ENOENT) fail_errno("opening a pack");
    std::string slice;
    if (file) slice = read_at(file, row.moved, std::min<uint64_t>(row.size - row.moved, limits_.slice_bytes));
    size_t at = 0;
    for (;;) {
        auto head = pack::parse_head(std::string_view(slice).substr(at));
        if (!head || slice.size() - at < head->record_size()) break;
        auto record = pack::parse_record(std::string_view(slice).substr(at));
        if (record && is_live(row.id, row.moved + at, *head)) move_record(row, row.moved + at, *record);
        at += head->record_size();
    }
    count_dropped();
    uint64_t moved = row.moved + at;
    // At the end, with records that are still needed; or it cannot be read on.
    bool stuck = at == 0 || moved >= row.size;
    store_.db().run("UPDATE pack SET moved = ?, rewrite = ? WHERE id = ?", moved, stuck ? -1 : 1, row.id);
    if (store_.db().run("DELETE FROM pack WHERE id = ? AND live = 0", row.id) > 0) {
        store_.note_file_unused(row.id);
    } else if (stuck && store_.db().query("SELECT 1 FROM pack WHERE id = ?", row.id).next()) {
        log::error("a pack is damaged: it is left as it is", {{"tree", store_.tree().root}, {"pack", row.id}});
    }
}

// ---- checking

uint64_t Packs::check(uint64_t file, const Report& report) {
    uint64_t size = 0;
    uint64_t expected = 0;
    {
        auto row = store_.db().query("SELECT size, live FROM pack WHERE id = ?", file);
        if (!row.next()) return 0;
        size = row.number(0);
        expected = row.number(1);
    }
    Fd fd(open(store_.tree().path_of(file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return expected;  // that it is missing was said already
    uint64_t whole = 0;
    uint64_t offset = 0;
    while (offset < size) {
        auto head = pack::parse_head(read_at(fd, offset, pack::kRecordHead));
        if (!head) break;
        if (is_live(file, offset, *head)) {
            if (is_readable(*head, read_at(fd, offset + pack::kRecordHead, head->length))) {
                whole++;
            } else {
                report(fmt::format("message {} in pack {} is damaged", head->content, file));
                expected--;
            }
        }
        offset += head->record_size();
    }
    if (whole < expected) report(fmt::format("pack {} lacks {} of its messages", file, expected - whole));
    return whole;
}

// ---- after a crash

/// Whole records from an offset on, each as a file of its own among the strays, and on disk.
void Packs::put_records_aside(const Fd& file, uint64_t from) {
    struct stat st{};
    if (fstat(file.get(), &st) != 0) fail_errno("looking at a pack");
    auto end = static_cast<uint64_t>(st.st_size);
    if (from >= end) return;
    std::string tail = read_at(file, from, std::min<uint64_t>(end - from, limits_.max_size));
    // What is there may be made up: it must not become much more than it is.
    uint64_t room = kMaxGrowth * tail.size();
    pack::for_whole_records(tail, [&](const pack::Record& record) {
        if (record.head.size + kFileCost > room) throw StoreFailure(error_of_errno(EFBIG), "too much in a pack");
        room -= record.head.size + kFileCost;
        auto message = pack::restore(record);
        put_aside(store_.tree(), record.head.content, message ? *message : record.stored);
    });
}

void Packs::recover() {
    Row row = current();
    if (row.id == 0) return;
    Fd file(open(store_.tree().path_of(row.id).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno != ENOENT) fail_errno("opening a pack");
    struct stat st{};
    if (!file || fstat(file.get(), &st) != 0 || static_cast<uint64_t>(st.st_size) <= row.size) return;
    // Nobody was told that they were here, as far as the rows go: when there is no room for them they stay where they
    // are, and the account can be used.
    try {
        put_records_aside(file, row.size);
    } catch (const StoreFailure& failure) {
        log::error("what is behind the end of a pack is left there", {{"pack", row.id}, {"error", failure.what()}});
    }
    // Nothing goes behind them, and they are not looked at again.
    store_.db().run("UPDATE state SET pack = 0");
    retire(row.id);
}

void Packs::unpack_stray(uint64_t file) {
    Fd fd(open(store_.tree().path_of(file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd || !pack::parse_head(read_at(fd, 0, pack::kRecordHead))) return;
    try {
        put_records_aside(fd, 0);
    } catch (const StoreFailure& failure) {
        log::error("a stray pack is kept as one file", {{"pack", file}, {"error", failure.what()}});
    }
}

}  // namespace mox::storaged
