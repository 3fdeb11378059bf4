// The records of a pack: a file in which the small messages of one account lie one behind the other (storaged(8)).
//
// A record is a head of 32 bytes and the stored bytes. The head says whose they are, so that a record is known for what
// it is without the database, and has a checksum over itself and the bytes. The checksum is XXH3: it tells damage, at
// the speed of memory; whoever can change a pack on purpose can change the database beside it too, so one that resists
// that would cost more and protect nothing. Pure functions. The format is on disk: it is never changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::pack {

constexpr size_t kRecordHead = 32;
/// A message of up to so many bytes lies in a pack.
constexpr size_t kMaxContent = 64u << 10;

/// How the stored bytes become the message (compression.h). The numbers are on disk.
enum class Method : uint8_t {
    raw = 0,
    zstd = 1,    // a frame (RFC 8878) that was made against kMailDictionary
    frames = 2,  // a file of its own (frames.h): never of a record
    kEnd
};

struct RecordHead {
    uint64_t content = 0;  // the number of the content: storaged's content.id
    uint32_t size = 0;     // bytes of the message
    uint32_t length = 0;   // stored bytes, behind the head
    Method method = Method::raw;
    uint64_t checksum = 0;

    size_t record_size() const { return kRecordHead + length; }
};

/// Puts a record behind what `out` has. At most kMaxContent stored bytes.
void append_record(std::string& out, uint64_t content, uint32_t size, Method method, std::string_view stored);
/// What the first bytes say, if they are the head of a record that can be.
std::optional<RecordHead> parse_head(std::string_view bytes);
/// Whether the stored bytes are those that the head was made for.
bool is_whole(const RecordHead& head, std::string_view stored);

/// A record and where it ends; nothing when `bytes` do not begin with a whole one.
struct Record {
    RecordHead head;
    std::string_view stored;
};
std::optional<Record> parse_record(std::string_view bytes);
/// Where something that looks like a record begins, from an offset on; npos when there is nothing.
size_t find_record(std::string_view bytes, size_t from);

/// Takes each whole record, with whatever damage in between.
template <class Take>
void for_whole_records(std::string_view bytes, Take take) {
    for (size_t at = 0; at != std::string_view::npos;) {
        auto record = parse_record(bytes.substr(at));
        if (record) take(*record);
        at = record ? at + record->head.record_size() : find_record(bytes, at + 1);
    }
}

}  // namespace mox::pack
