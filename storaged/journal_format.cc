#include "storaged/journal_format.h"

#include <cstring>
#include <xxhash.h>

#include "common/log/log.h"
#include "common/text/little_endian.h"

namespace mox::storaged {
namespace {

// magic (16), first sequence (8), era (8), seed (8), checksum of these (8)
constexpr std::string_view kSegmentMagic = "mox journal 1.1\n";
constexpr std::string_view kAnyMagic = "mox journal ";
constexpr std::string_view kFirstMagic = "mox journal 1.0\n";  // has no seed
constexpr uint32_t kRecordMagic = 0x6a786f6d;
// magic (4), length of the entries (4), sequence (8), checksum of the entries (8)
constexpr size_t kRecordHead = 24;
// kind (1), reserved (1), length of the path (2), length of the bytes (4), offset (8)
constexpr size_t kEntryHead = 16;
static_assert(kSegmentMagic.size() == 16 && kFirstMagic.size() == 16);

/// The sequence is part of it: a record of an earlier use of the segment is never taken for a new one.
uint64_t checksum(std::string_view bytes, uint64_t sequence, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), sequence + seed);
}

/// The numbers of a header, when it is whole.
bool parse_header(std::string_view bytes, JournalSegment& segment) {
    bool has_seed = bytes.starts_with(kSegmentMagic);
    if (bytes.size() < kJournalBlock || !(has_seed || bytes.starts_with(kFirstMagic))) return false;
    size_t end = kSegmentMagic.size() + (has_seed ? 24 : 16);
    auto first = text::get_little_endian<uint64_t>(bytes, 16);
    if (first == 0 || text::get_little_endian<uint64_t>(bytes, end) != checksum(bytes.substr(0, end), first, 0))
        return false;
    segment.first_sequence = first;
    segment.era = text::get_little_endian<uint64_t>(bytes, 24);
    segment.seed = has_seed ? text::get_little_endian<uint64_t>(bytes, 32) : 0;
    return true;
}

size_t padded(size_t size) {
    return (size + kJournalBlock - 1) / kJournalBlock * kJournalBlock;
}

/// Only files below the data directory that the journal is meant for; what is on disk may have been tampered with.
bool is_journal_path(std::string_view path) {
    // Below restore/ and removed/ are databases of stores on their way back, of which only `forget` speaks.
    bool known = path.starts_with("accounts/") || path.starts_with("queue/") || path.starts_with("queue.db") ||
                 path.starts_with("logins.db") || path.starts_with("restore/") || path.starts_with("removed/");
    return known && path.size() <= kMaxJournalPath && path.find("/../") == std::string_view::npos &&
           path.find('\0') == std::string_view::npos && !path.ends_with("/..");
}

bool is_in_order(const JournalEntry& entry) {
    switch (entry.kind) {
        case EntryKind::log:
        case EntryKind::forget:
            return is_journal_path(entry.path) && entry.path.ends_with("-wal") && entry.offset < uint64_t{1} << 48;
        case EntryKind::gone:
            return is_journal_path(entry.path);
        case EntryKind::bytes:
            return is_journal_path(entry.path) && entry.offset < uint64_t{1} << 48;
        case EntryKind::checkpoint:
        case EntryKind::end:
            return entry.path.empty() && entry.bytes.empty();
    }
    return false;
}

std::optional<std::vector<JournalEntry>> parse_entries(std::string_view bytes) {
    std::vector<JournalEntry> entries;
    while (!bytes.empty()) {
        if (bytes.size() < kEntryHead) return std::nullopt;
        JournalEntry entry{static_cast<EntryKind>(text::get_little_endian<uint8_t>(bytes, 0)),
                           {},
                           text::get_little_endian<uint64_t>(bytes, 8),
                           {}};
        size_t path = text::get_little_endian<uint16_t>(bytes, 2);
        size_t size = text::get_little_endian<uint32_t>(bytes, 4);
        if (path + size > bytes.size() - kEntryHead) return std::nullopt;
        entry.path = bytes.substr(kEntryHead, path);
        entry.bytes = bytes.substr(kEntryHead + path, size);
        if (!is_in_order(entry)) return std::nullopt;
        entries.push_back(entry);
        bytes.remove_prefix(kEntryHead + path + size);
    }
    return entries;
}

}  // namespace

void RecordWriter::begin(uint64_t sequence) {
    // One long record should not cost its memory for ever.
    if (buffer_.capacity() > 4u << 20) buffer_ = {};
    buffer_.clear();
    text::put_little_endian(buffer_, kRecordMagic);
    text::put_little_endian(buffer_, uint32_t{0});
    text::put_little_endian(buffer_, sequence);
    text::put_little_endian(buffer_, uint64_t{0});
}

void RecordWriter::add(const JournalEntry& entry) {
    if (!is_in_order(entry)) log::fatal("an entry that the journal cannot have", {{"path", entry.path}});
    text::put_little_endian(buffer_, static_cast<uint8_t>(entry.kind));
    text::put_little_endian(buffer_, uint8_t{0});
    text::put_little_endian(buffer_, static_cast<uint16_t>(entry.path.size()));
    text::put_little_endian(buffer_, static_cast<uint32_t>(entry.bytes.size()));
    text::put_little_endian(buffer_, entry.offset);
    buffer_ += entry.path;
    buffer_ += entry.bytes;
}

std::string_view RecordWriter::finish() {
    std::string_view entries = std::string_view(buffer_).substr(kRecordHead);
    std::string numbers;
    text::put_little_endian(numbers, static_cast<uint32_t>(entries.size()));
    std::memcpy(buffer_.data() + 4, numbers.data(), 4);
    numbers.clear();
    text::put_little_endian(numbers, checksum(entries, text::get_little_endian<uint64_t>(buffer_, 8), seed_));
    std::memcpy(buffer_.data() + 16, numbers.data(), 8);
    buffer_.resize(padded(buffer_.size()), '\0');
    return buffer_;
}

size_t RecordWriter::size_of(const JournalEntry& entry) {
    return kEntryHead + entry.path.size() + entry.bytes.size();
}

size_t RecordWriter::record_size(size_t entries) {
    return padded(kRecordHead + entries);
}

std::string segment_header(uint64_t first_sequence, uint64_t era, uint64_t seed) {
    std::string header(kSegmentMagic);
    text::put_little_endian(header, first_sequence);
    text::put_little_endian(header, era);
    text::put_little_endian(header, seed);
    text::put_little_endian(header, checksum(header, first_sequence, 0));
    header.resize(kJournalBlock, '\0');
    return header;
}

JournalSegment parse_segment(std::string_view bytes) {
    JournalSegment segment;
    if (!parse_header(bytes, segment)) {
        // A torn header of ours has the name of this version.
        segment.is_unreadable =
            bytes.starts_with(kAnyMagic) && !bytes.starts_with(kSegmentMagic) && !bytes.starts_with(kFirstMagic);
        return segment;
    }
    bytes.remove_prefix(kJournalBlock);
    while (bytes.size() >= kRecordHead && text::get_little_endian<uint32_t>(bytes, 0) == kRecordMagic) {
        size_t size = text::get_little_endian<uint32_t>(bytes, 4);
        JournalRecord record{text::get_little_endian<uint64_t>(bytes, 8), {}};
        if (size > bytes.size() - kRecordHead || record.sequence != segment.next_sequence()) break;
        std::string_view entries = bytes.substr(kRecordHead, size);
        if (text::get_little_endian<uint64_t>(bytes, 16) != checksum(entries, record.sequence, segment.seed)) break;
        auto parsed = parse_entries(entries);
        if (!parsed) {
            segment.is_unreadable = true;
            break;
        }
        record.entries = std::move(*parsed);
        segment.records.push_back(std::move(record));
        bytes.remove_prefix(std::min(padded(kRecordHead + size), bytes.size()));
    }
    return segment;
}

}  // namespace mox::storaged
