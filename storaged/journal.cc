#include "storaged/journal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <sodium.h>
#include <unistd.h>

#include "common/log/log.h"
#include "storaged/failure.h"
#include "storaged/files.h"
#include "storaged/replay.h"

namespace mox::storaged {
namespace {

/// Up to so many files are synced one by one: that touches nothing but what is asked. Beyond, one syncfs is cheaper.
constexpr size_t kFewFiles = 4;
constexpr uint64_t kPrepare = 1u << 20;  // bytes of a segment that get their blocks at a time

[[noreturn]] void end_process(std::string_view what) {
    log::fatal("the disk failed: ending, so that nothing is acknowledged wrongly",
               {{"doing", what}, {"error", std::strerror(errno)}});
}

JournalEntry view_of(const OwnedEntry& entry) {
    return {entry.kind, entry.path, entry.offset, entry.bytes ? std::string_view(*entry.bytes) : std::string_view()};
}

size_t size_of(const Journal::Request& request) {
    size_t size = 0;
    for (const OwnedEntry& entry : request.entries) size += RecordWriter::size_of(view_of(entry));
    return size;
}

uint64_t random_number() {
    uint64_t number = 0;
    randombytes_buf(&number, sizeof number);
    return number;
}

}  // namespace

Journal::Journal(JournalOptions options)
    : segment_size_(options.segment_size),
      failed_(std::move(options.failed)),
      data_directory_(open_directory(".")),
      seed_(random_number()) {
    if (!failed_) failed_ = end_process;
    make_directories("journal");
    Replayed replayed = replay_journal(segment_size_);
    next_sequence_ = replayed.next_sequence;
    // A journal that begins anew says nothing of the stores that are there.
    era_ = replayed.era == 0 ? static_cast<uint64_t>(std::time(nullptr)) : replayed.era + !replayed.ended_cleanly;
    open_segments(replayed.newest);
    // Signals are the loop's.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    cleaner_ = std::thread([this] { clean_segments(); });
    thread_ = std::thread([this] { work(); });
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

Journal::~Journal() {
    auto stop = [this](bool& flag, std::thread& thread) {
        {
            std::lock_guard lock(mutex_);
            flag = true;
        }
        changed_.notify_all();
        thread.join();
    };
    stop(stopping_, thread_);
    stop(cleaner_stopping_, cleaner_);
}

// Everything is in its place: begins anew, with a checkpoint.
void Journal::open_segments(size_t newest) {
    for (size_t i = 0; i < segments_.size(); i++) {
        std::string path = journal_segment_path(i);
        Segment& segment = segments_[i];
        segment.file = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        off_t size = segment.file ? lseek(segment.file.get(), 0, SEEK_END) : -1;
        if (size < 0) fail_errno("opening the journal");
        segment.prepared = static_cast<uint64_t>(size);
    }
    current_ = newest;
    if (int error = make_checkpoint(EntryKind::checkpoint); error != 0) {
        errno = error;
        fail_errno("writing the journal");
    }
    sync_directory("journal");
}

void Journal::submit(Request request) {
    counters_.requests++;
    {
        std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(request)});
    }
    changed_.notify_all();
}

int Journal::wait_for(Waiting waiting) {
    struct Answer {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<int> error;
    } answer;
    waiting.request.done = [&answer](int error) {
        std::lock_guard lock(answer.mutex);
        answer.error = error;
        answer.changed.notify_all();
    };
    {
        std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(waiting));
    }
    changed_.notify_all();
    std::unique_lock lock(answer.mutex);
    answer.changed.wait(lock, [&answer] { return answer.error.has_value(); });
    return *answer.error;
}

int Journal::checkpoint() {
    return wait_for({{}, EntryKind::checkpoint});
}

int Journal::end() {
    return wait_for({{}, EntryKind::end});
}

int Journal::forget(const std::string& path) {
    Waiting waiting;
    waiting.request.entries.push_back({EntryKind::forget, path, 0, {}});
    return wait_for(std::move(waiting));
}

void Journal::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        std::vector<Waiting> round;
        round.swap(waiting_);
        lock.unlock();
        serve(std::move(round));
        lock.lock();
    }
}

/// Requests in order, as many in one record as fit into a quarter of a segment; a checkpoint stands alone.
void Journal::serve(std::vector<Waiting> round) {
    counters_.rounds++;
    for (size_t begin = 0; begin < round.size();) {
        if (round[begin].checkpoint) {
            round[begin].request.done(make_checkpoint(*round[begin].checkpoint));
            begin++;
            continue;
        }
        size_t end = begin;
        size_t size = 0;
        for (; end < round.size() && !round[end].checkpoint; end++) {
            size_t more = size_of(round[end].request);
            if (end > begin && size + more > segment_size_ / 4) break;
            size += more;
        }
        serve_requests(round, begin, end);
        begin = end;
    }
}

void Journal::serve_requests(std::vector<Waiting>& round, size_t begin, size_t end) {
    sync_files(round, begin, end);
    writer_.begin(next_sequence_);
    bool speaks = false;
    for (size_t i = begin; i < end; i++) {
        // What is too much for the journal was synced in its place just now.
        bool too_large = size_of(round[i].request) > segment_size_ / 4;
        for (const OwnedEntry& entry : round[i].request.entries) {
            if (too_large && entry.kind == EntryKind::bytes) continue;
            writer_.add(view_of(entry));
            speaks = true;
        }
    }
    finish(round, begin, end, speaks ? write_record(writer_.finish()) : 0);
}

void Journal::sync_files(const std::vector<Waiting>& round, size_t begin, size_t end) {
    std::set<int> files;
    bool everything = false;
    for (size_t i = begin; i < end; i++) {
        for (const auto& file : round[i].request.sync_first) files.insert(file->get());
        everything |= size_of(round[i].request) > segment_size_ / 4;
    }
    if (everything || files.size() > kFewFiles) {
        flushed(syncfs(data_directory_.get()) == 0, "syncing the file system");
    } else {
        for (int file : files) flushed(fsync(file) == 0, "syncing a file");
    }
}

void Journal::finish(std::vector<Waiting>& round, size_t begin, size_t end, int error) {
    for (size_t i = begin; i < end; i++) round[i].request.done(error);
    for (size_t i = begin; error == 0 && i < end; i++)
        if (round[i].request.settle) round[i].request.settle();
}

int Journal::write_record(std::string_view record) {
    if (int error = make_room(record.size()); error != 0) return error;
    if (!write_all(segments_[current_].file, record, position_)) return errno;
    flushed(fdatasync(segments_[current_].file.get()) == 0, "syncing the journal");
    position_ += record.size();
    next_sequence_++;
    counters_.bytes += record.size();
    return 0;
}

/// Blocks for `size` bytes at the position, in this segment or, when it is full or the disk is, in the other.
int Journal::make_room(uint64_t size) {
    bool fits = position_ + size <= segment_size_ || position_ <= kJournalBlock;
    if (fits && prepare(segments_[current_], std::max<uint64_t>(position_, kJournalBlock) + size) == 0)
        return position_ == 0 ? write_header() : 0;
    // Also from one that is empty: the other may have blocks that it lacks.
    change_segment();
    if (int error = prepare(segments_[current_], kJournalBlock + size); error != 0) return error;
    return write_header();
}

int Journal::write_header() {
    if (!write_all(segments_[current_].file, segment_header(next_sequence_, era_, seed_), 0)) return errno;
    position_ = kJournalBlock;
    return 0;
}

/// Zeros, written once: later on only data has to reach the disk, and no change of the file itself.
int Journal::prepare(Segment& segment, uint64_t end) {
    static const std::string zeros(256u << 10, '\0');
    if (end <= segment.prepared) return 0;
    uint64_t goal = std::max(end, std::min(segment_size_, segment.prepared + kPrepare));
    while (segment.prepared < goal) {
        uint64_t piece = std::min<uint64_t>(zeros.size(), goal - segment.prepared);
        if (!write_all(segment.file, std::string_view(zeros).substr(0, piece), segment.prepared))
            return end <= segment.prepared ? 0 : errno;
        segment.prepared += piece;
    }
    return 0;
}

/// Waits until the other segment may be written again, and lets the cleaner see to this one. All records of earlier
/// rounds have been settled: this thread does it at the end of each.
void Journal::change_segment() {
    std::unique_lock lock(mutex_);
    size_t other = 1 - current_;
    changed_.wait(lock, [&] { return segments_[other].free; });
    segments_[other].free = false;
    to_clean_ = static_cast<int>(current_);
    current_ = other;
    position_ = 0;
    lock.unlock();
    changed_.notify_all();
}

/// Begins the other segment, and leaves this one as it is until the new one is on disk.
int Journal::make_checkpoint(EntryKind kind) {
    flushed(syncfs(data_directory_.get()) == 0, "syncing the file system");
    counters_.checkpoints++;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return to_clean_ < 0; });
        for (Segment& segment : segments_) segment.free = true;
        current_ = 1 - current_;
        segments_[current_].free = false;
        position_ = 0;
    }
    writer_.begin(next_sequence_);
    writer_.add({kind, {}, 0, {}});
    return write_record(writer_.finish());
}

void Journal::clean_segments() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return cleaner_stopping_ || to_clean_ >= 0; });
        if (to_clean_ < 0) return;
        lock.unlock();
        bool ok = syncfs(data_directory_.get()) == 0;
        if (!ok) failed_("syncing the file system");
        counters_.checkpoints++;
        lock.lock();
        segments_[static_cast<size_t>(to_clean_)].free = ok;
        to_clean_ = -1;
        changed_.notify_all();
    }
}

void Journal::flushed(bool ok, std::string_view what) {
    counters_.flushes++;
    if (!ok) failed_(what);
}

}  // namespace mox::storaged
