#include "imapd/worker/rest.h"

namespace mox::imapd {
namespace {

void put(std::string& out, uint32_t number) {
    for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
    out += static_cast<char>(number);
}

std::optional<uint32_t> take(std::string_view& bytes) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && !bytes.empty(); shift += 7) {
        auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        number |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return number <= UINT32_MAX ? std::optional(static_cast<uint32_t>(number)) : std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

std::string pack_uids(std::span<const SequenceRange> ranges) {
    std::string out;
    uint32_t next = 0;
    for (auto [first, last] : ranges) {
        put(out, first - next);
        put(out, last - first);
        next = last;
    }
    return out;
}

std::optional<std::vector<SequenceRange>> unpack_uids(std::string_view bytes) {
    std::vector<SequenceRange> out;
    uint64_t last = 0;
    while (!bytes.empty()) {
        auto distance = take(bytes);
        auto length = take(bytes);
        if (!distance || !length || *distance == 0) return std::nullopt;
        uint64_t first = last + *distance;
        last = first + *length;
        if (last > UINT32_MAX) return std::nullopt;
        out.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(last)});
    }
    return out;
}

}  // namespace mox::imapd
