#include "common/pack/record.h"

#include <xxhash.h>

#include "common/text/little_endian.h"

namespace mox::pack {
namespace {

constexpr uint32_t kMagic = 0x706b786d;  // "mxkp"
// magic (4), method (1), reserved (3), content (8), size (4), length (4), checksum (8); numbers are little-endian
constexpr size_t kChecked = 24;

std::string checked_part(const RecordHead& head) {
    std::string part;
    text::put_little_endian(part, kMagic);
    text::put_little_endian(part, static_cast<uint32_t>(head.method));
    text::put_little_endian(part, head.content);
    text::put_little_endian(part, head.size);
    text::put_little_endian(part, head.length);
    return part;
}

uint64_t checksum_of(std::string_view checked, std::string_view stored) {
    return XXH3_64bits_withSeed(stored.data(), stored.size(), XXH3_64bits(checked.data(), checked.size()));
}

}  // namespace

void append_record(std::string& out, uint64_t content, uint32_t size, Method method, std::string_view stored) {
    RecordHead head{content, size, static_cast<uint32_t>(stored.size()), method, 0};
    std::string checked = checked_part(head);
    out += checked;
    text::put_little_endian(out, checksum_of(checked, stored));
    out += stored;
}

std::optional<RecordHead> parse_head(std::string_view bytes) {
    if (bytes.size() < kRecordHead || text::get_little_endian<uint32_t>(bytes, 0) != kMagic) return std::nullopt;
    auto method = text::get_little_endian<uint32_t>(bytes, 4);
    RecordHead head{text::get_little_endian<uint64_t>(bytes, 8), text::get_little_endian<uint32_t>(bytes, 16),
                    text::get_little_endian<uint32_t>(bytes, 20), Method::raw,
                    text::get_little_endian<uint64_t>(bytes, kChecked)};
    if (method > static_cast<uint32_t>(Method::zstd)) return std::nullopt;
    if (head.size > kMaxContent || head.length > kMaxContent) return std::nullopt;
    head.method = static_cast<Method>(method);
    if (head.method == Method::raw ? head.length != head.size : head.length >= head.size) return std::nullopt;
    return head;
}

bool is_whole(const RecordHead& head, std::string_view stored) {
    return stored.size() == head.length && checksum_of(checked_part(head), stored) == head.checksum;
}

std::optional<Record> parse_record(std::string_view bytes) {
    auto head = parse_head(bytes);
    if (!head || bytes.size() - kRecordHead < head->length) return std::nullopt;
    std::string_view stored = bytes.substr(kRecordHead, head->length);
    if (!is_whole(*head, stored)) return std::nullopt;
    return Record{*head, stored};
}

size_t find_record(std::string_view bytes, size_t from) {
    std::string magic;
    text::put_little_endian(magic, kMagic);
    return bytes.find(magic, from);
}

}  // namespace mox::pack
