#include "storaged/replay.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

#include "common/log/log.h"
#include "storaged/failure.h"
#include "storaged/files.h"
#include "storaged/journal_format.h"

namespace mox::storaged {
namespace {

std::string read_file(const std::string& path, uint64_t limit) {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return {};
    struct stat st{};
    if (!fd || fstat(fd.get(), &st) != 0) fail_errno("opening the journal");
    std::string bytes(std::min(static_cast<uint64_t>(st.st_size), limit), '\0');
    for (size_t got = 0; got < bytes.size();) {
        ssize_t n = pread(fd.get(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_errno("reading the journal");
        if (n == 0) break;
        got += static_cast<size_t>(n);
    }
    return bytes;
}

/// What the records come to: files that are gone, what packs have, and the writes to each log since it was last whole.
struct Outcome {
    std::map<std::string_view, std::vector<const JournalEntry*>> logs;
    std::set<std::string_view> gone;
    std::map<std::string_view, std::vector<const JournalEntry*>> packs;
};

void take_in(Outcome& outcome, const JournalEntry& entry) {
    switch (entry.kind) {
        case EntryKind::log:
            outcome.logs[entry.path].push_back(&entry);
            break;
        case EntryKind::forget:
            outcome.logs.erase(entry.path);
            break;
        case EntryKind::bytes:
            outcome.packs[entry.path].push_back(&entry);
            break;
        case EntryKind::gone:
            outcome.gone.insert(entry.path);
            outcome.packs.erase(entry.path);
            break;
        case EntryKind::checkpoint:
        case EntryKind::end:
            outcome = {};
            break;
    }
}

bool makes_void(const JournalRecord& record) {
    if (record.entries.size() != 1) return false;
    return record.entries[0].kind == EntryKind::checkpoint || record.entries[0].kind == EntryKind::end;
}

/// An account that was removed takes its files along; the records of it mean nothing any more.
bool is_there(const std::string& directory) {
    struct stat st{};
    return stat(directory.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

void replay_log(std::string_view path, const std::vector<const JournalEntry*>& writes) {
    std::string name(path);
    if (name.find('/') != std::string::npos && !is_there(directory_of(path))) return;
    Fd fd(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) fail_errno("opening a database log");
    for (const JournalEntry* write : writes)
        if (!write_all(fd, write->bytes, write->offset)) fail_errno("replaying the journal");
}

/// accounts/NAME/msg/D: the account must be there, what is below it may be made. False when it is not there.
bool make_place(const std::string& path) {
    std::string above = directory_of(directory_of(path));
    if (!is_there(directory_of(above)) && !is_there(above)) return false;
    make_directories(directory_of(path));
    return true;
}

/// In place: what a pack has is never changed, so these are the bytes that are there, or that were to be.
void replay_pack(const std::string& path, const std::vector<const JournalEntry*>& writes) {
    if (!make_place(path)) return;
    Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) fail_errno("opening a pack");
    for (const JournalEntry* write : writes)
        if (!write_all(fd, write->bytes, write->offset)) fail_errno("replaying the journal");
}

[[noreturn]] void refuse() {
    throw StoreFailure({Persistence::permanent, ErrorCode::internal, "the journal has a record of another version"},
                       "the journal has a record of another version: nothing was changed");
}

/// The one that was written last. When both begin with the same number, the first record of one was cut off or could
/// not be written, and the number was used again in the other: by a later process, or else the one that has records.
size_t newest_segment(uint64_t limit) {
    auto key = [](size_t segment, uint64_t bytes) {
        std::string text = read_file(journal_segment_path(segment), bytes);
        JournalSegment parsed = parse_segment(text);
        if (parsed.is_unreadable && parsed.first_sequence == 0) refuse();
        return std::tuple(parsed.first_sequence, parsed.era, parsed.records.size());
    };
    auto first = key(0, kJournalBlock);
    auto second = key(1, kJournalBlock);
    if (first == second) return key(1, limit) > key(0, limit) ? 1 : 0;
    return second > first ? 1 : 0;
}

}  // namespace

std::string journal_segment_path(size_t segment) {
    return fmt::format("journal/{}", segment);
}

Replayed replay_journal(uint64_t segment_size) {
    // A record may be as long as a segment.
    uint64_t limit = 2 * segment_size + kJournalBlock;
    size_t newest = newest_segment(limit);
    std::string newest_bytes = read_file(journal_segment_path(newest), limit);
    JournalSegment last = parse_segment(newest_bytes);
    if (last.first_sequence == 0) return {};
    // Nothing before it counts then.
    bool stands_alone = !last.records.empty() && makes_void(last.records[0]);
    if (stands_alone && last.records.size() == 1)
        return {last.next_sequence(), last.era, last.records[0].entries[0].kind == EntryKind::end, newest};
    std::string older_bytes;
    JournalSegment older;
    if (!stands_alone) {
        older_bytes = read_file(journal_segment_path(1 - newest), limit);
        older = parse_segment(older_bytes);
        if (older.first_sequence != 0 && older.next_sequence() != last.first_sequence) {
            // It was free, and about to be written anew: all that it spoke of is in its place.
            log::info("the journal's older part is left out",
                      {{"ends", older.next_sequence()}, {"begins", last.first_sequence}});
            older = {};
        }
    }
    if (last.is_unreadable || older.is_unreadable) refuse();
    Outcome outcome;
    for (const JournalSegment* segment : {&older, &last})
        for (const JournalRecord& record : segment->records)
            for (const JournalEntry& entry : record.entries) take_in(outcome, entry);
    for (std::string_view path : outcome.gone)
        if (unlink(std::string(path).c_str()) != 0 && errno != ENOENT) fail_errno("removing a file");
    for (const auto& [path, writes] : outcome.packs) replay_pack(std::string(path), writes);
    for (const auto& [path, writes] : outcome.logs) replay_log(path, writes);
    Fd root = open_directory(".");
    if (syncfs(root.get()) != 0) log::fatal("the disk failed: ending", {{"error", std::strerror(errno)}});
    log::info("replayed the journal", {{"records", older.records.size() + last.records.size()},
                                       {"gone", outcome.gone.size()},
                                       {"packs", outcome.packs.size()},
                                       {"databases", outcome.logs.size()}});
    return {last.next_sequence(), last.era, false, newest};
}

}  // namespace mox::storaged
