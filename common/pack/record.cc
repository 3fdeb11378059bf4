#include "common/pack/record.h"

#include <xxhash.h>

namespace mox::pack {
namespace {

constexpr uint32_t kMagic = 0x706b786d;  // "mxkp"
// magic (4), method (1), reserved (3), content (8), size (4), length (4), checksum (8); numbers are little-endian
constexpr size_t kChecked = 24;

template <class N>
void put(std::string& out, N number) {
    for (size_t i = 0; i < sizeof(N); i++) out += static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
}

template <class N>
N get(std::string_view bytes, size_t at) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(N); i++) number |= uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return static_cast<N>(number);
}

std::string checked_part(const RecordHead& head) {
    std::string part;
    put(part, kMagic);
    put(part, static_cast<uint32_t>(head.method));
    put(part, head.content);
    put(part, head.size);
    put(part, head.length);
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
    put(out, checksum_of(checked, stored));
    out += stored;
}

std::optional<RecordHead> parse_head(std::string_view bytes) {
    if (bytes.size() < kRecordHead || get<uint32_t>(bytes, 0) != kMagic) return std::nullopt;
    auto method = get<uint32_t>(bytes, 4);
    RecordHead head{get<uint64_t>(bytes, 8), get<uint32_t>(bytes, 16), get<uint32_t>(bytes, 20), Method::raw,
                    get<uint64_t>(bytes, kChecked)};
    if (method >= static_cast<uint32_t>(Method::kEnd)) return std::nullopt;
    if (head.size > kMaxContent || head.length > kMaxContent) return std::nullopt;
    head.method = static_cast<Method>(method);
    if (head.method == Method::raw && head.length != head.size) return std::nullopt;
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
    put(magic, kMagic);
    return bytes.find(magic, from);
}

}  // namespace mox::pack
