#include "storaged/packs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "common/log/log.h"
#include "common/pack/compression.h"
#include "storaged/store.h"

namespace mox::storaged {
namespace {

constexpr size_t kWriteAtOnce = 1u << 20;  // bytes of one operation that wait to be written
constexpr size_t kReadAhead = 128u << 10;

Fd open_pack(const FileTree& tree, uint64_t file, int mode) {
    Fd fd(open(tree.path_of(file).c_str(), mode | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno != ENOENT) fail_errno("opening a pack");
    return fd;
}

}  // namespace

std::string read_at(const Fd& file, uint64_t offset, size_t size) {
    std::string bytes(size, '\0');
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(file.get(), bytes.data() + got, size - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) log::error("a pack cannot be read", {{"offset", offset + got}, {"error", std::strerror(errno)}});
        if (n <= 0) break;
        got += static_cast<size_t>(n);
    }
    bytes.resize(got);
    return bytes;
}

bool PackReader::open(uint64_t file) {
    if (number_ == file) return static_cast<bool>(file_);
    file_ = open_pack(tree_, file, O_RDONLY);
    number_ = file;
    bytes_.clear();
    behind_ = 0;
    return static_cast<bool>(file_);
}

// Messages that came one after the other lie so too: for who reads two like that, more is read than he asks for.
std::string_view PackReader::bytes_at(uint64_t offset, size_t size) {
    bool there = offset >= start_ && offset + size <= start_ + bytes_.size();
    if (!there) {
        bytes_ = read_at(file_, offset, offset == behind_ ? std::max(size, kReadAhead) : size);
        start_ = offset;
    }
    behind_ = offset + size;
    return std::string_view(bytes_).substr(offset - start_, size);
}

std::optional<std::string> PackReader::read(uint64_t content, uint64_t size, const ContentPlace& place) {
    if (place.length <= pack::kMaxContent && open(place.file)) {
        auto record = pack::parse_record(bytes_at(place.offset, pack::kRecordHead + place.length));
        bool right = record && record->head.content == content && record->head.size == size &&
                     record->head.length == place.length && record->head.method == place.method &&
                     (place.method == pack::Method::raw ? place.length == size : place.method == pack::Method::zstd);
        if (right) return std::string(record->stored);
    }
    log::error("a message in a pack is missing or damaged",
               {{"tree", tree_.root}, {"pack", place.file}, {"content", content}});
    return std::nullopt;
}

Packs::Row Packs::current() {
    auto row = store_.db().query("SELECT pack.id, size FROM state JOIN pack ON pack.id = state.pack");
    return row.next() ? Row{row.number(0), row.number(1)} : Row{};
}

ContentPlace Packs::add(uint64_t content, uint64_t size, pack::Method method, std::string_view stored) {
    choose(pack::kRecordHead + stored.size());
    ContentPlace place{number_, end_ + pending_.size(), stored.size(), method};
    pack::append_record(pending_, content, static_cast<uint32_t>(size), method, stored);
    pending_records_++;
    if (pending_.size() >= kWriteAtOnce) write();
    return place;
}

/// Makes `number_` a pack with room for a record of this size.
void Packs::choose(size_t more) {
    if (!pending_.empty() && end_ + pending_.size() + more <= limits_.max_size) return;
    write();
    Row row = current();
    bool has_room = row.id != 0 && row.size + more <= limits_.max_size;
    if (!has_room || !may_append(row)) return begin(row);
    end_ = row.size;
}

/// A backup or a restored account may share the file; or it has bytes that the rows do not know.
bool Packs::may_append(const Row& row) {
    if (number_ != row.id || !file_) {
        file_ = open_pack(store_.tree(), row.id, O_RDWR);
        number_ = row.id;
        // What an earlier process did not come to.
        store_.effects().rewrite_due |= next_to_rewrite().id != 0;
    }
    struct stat st{};
    return file_ && fstat(file_.get(), &st) == 0 && st.st_nlink == 1 && static_cast<uint64_t>(st.st_size) == row.size;
}

void Packs::begin(const Row& last) {
    number_ = store_.take_number();
    file_ = make_file({store_.tree(), number_});
    end_ = 0;
    store_.effects().placed.push_back(number_);
    store_.db().run("INSERT INTO pack VALUES (?, 0, 0, 0, 0, 0)", number_);
    store_.db().run("UPDATE state SET pack = ?", number_);
    if (last.id != 0) retire(last.id);
    mark_small_ones();
}

/// It gets no more records: from now on it counts how many of them are needed.
void Packs::retire(uint64_t pack) {
    if (store_.db().run("UPDATE pack SET rewrite = 1 WHERE id = ? AND rewrite = 0 AND live_bytes * 2 < size", pack) > 0)
        store_.effects().rewrite_due = true;
}

/// Each backup ends a pack, so an account with little mail gets many: they become one.
void Packs::mark_small_ones() {
    auto count =
        store_.db().query("SELECT count(*) FROM pack WHERE id != (SELECT pack FROM state) AND rewrite = 0 AND size < ?",
                          limits_.small_size);
    if (!count.next() || count.number(0) <= limits_.small_ones) return;
    store_.db().run("UPDATE pack SET rewrite = 1 WHERE id != ? AND rewrite = 0 AND size < ?", number_,
                    limits_.small_size);
    store_.effects().rewrite_due = true;
}

void Packs::write() {
    if (pending_.empty()) return;
    auto bytes = std::make_shared<const std::string>(std::move(pending_));
    pending_.clear();
    if (!write_all(file_, *bytes, end_)) fail_errno("writing a pack");
    store_.db().run("UPDATE pack SET size = size + ?1, live = live + ?2, live_bytes = live_bytes + ?1 WHERE id = ?3",
                    bytes->size(), std::exchange(pending_records_, 0), number_);
    store_.effects().entries.push_back({EntryKind::bytes, store_.tree().path_of(number_), end_, bytes});
    end_ += bytes->size();
}

void Packs::drop(const ContentPlace& place) {
    Dropped& dropped = dropped_[place.file];
    dropped.records++;
    dropped.bytes += pack::kRecordHead + place.length;
}

void Packs::finish() {
    write();
    count_dropped();
}

void Packs::count_dropped() {
    for (const auto& [pack, dropped] : std::exchange(dropped_, {})) count_dropped(pack, dropped);
}

void Packs::count_dropped(uint64_t pack, const Dropped& dropped) {
    bool none = false;
    bool little = false;
    bool is_current = false;
    bool is_small = false;
    {
        auto row = store_.db().query(
            "UPDATE pack SET live = live - ?1, live_bytes = live_bytes - ?2 WHERE id = ?3 RETURNING live = 0,"
            " live_bytes * 2 < size AND rewrite = 0, id = (SELECT pack FROM state), size < ?4",
            dropped.records, dropped.bytes, pack, limits_.small_size);
        if (!row.next()) return;
        none = row.flag(0);
        little = row.flag(1);
        is_current = row.flag(2);
        is_small = row.flag(3);
    }
    // The current one goes on being filled, unless that would keep much that nobody needs.
    if (is_current && (is_small || !(none || little))) return;
    if (is_current) store_.db().run("UPDATE state SET pack = 0");
    if (none) {
        store_.db().run("DELETE FROM pack WHERE id = ?", pack);
        store_.note_file_unused(pack);
    } else if (little) {
        retire(pack);
    }
}

void Packs::forget() noexcept {
    undo();
    file_.reset();
    number_ = 0;
}

}  // namespace mox::storaged
