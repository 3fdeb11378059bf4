// Packs: bytes as they are, and a pack of which some bytes were changed: each record that was not touched is found. And
// compressed messages: bytes taken for one, and one that was made comes back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/pack/compression.h"
#include "common/pack/frames.h"
#include "common/pack/record.h"

using namespace mox;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void read_bytes(std::string_view bytes) {
    size_t sum = 0;
    pack::for_whole_records(bytes, [&](const pack::Record& record) {
        require(record.stored.size() == record.head.length && pack::is_whole(record.head, record.stored));
        sum += record.head.record_size();
    });
    require(sum <= bytes.size());
}

/// Lines become records; `damage` are pairs of a place, in 256ths of the pack, and what is added to the byte there.
void damage_pack(std::string_view lines, std::string_view damage) {
    std::string bytes;
    std::vector<size_t> ends;
    while (!lines.empty()) {
        std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(line.size() + 1, lines.size()));
        pack::append_record(bytes, ends.size(), static_cast<uint32_t>(line.size()), pack::Method::raw, line);
        ends.push_back(bytes.size());
    }
    if (bytes.empty()) return;
    std::string whole = bytes;
    for (size_t i = 0; i + 1 < damage.size(); i += 2)
        bytes[bytes.size() * static_cast<uint8_t>(damage[i]) / 256] += damage[i + 1];
    std::vector<std::pair<size_t, size_t>> found;  // where records begin and end
    pack::for_whole_records(bytes, [&](const pack::Record& record) {
        size_t stored = static_cast<size_t>(record.stored.data() - bytes.data());
        found.emplace_back(stored - pack::kRecordHead, stored + record.stored.size());
    });
    // A line may be made to look like a record, checksum and all, which comes to light when what is around it is
    // damaged, and may say that it reaches over others (storaged/DESIGN.md, "Packs": not against intent).
    auto covered = [&](size_t begin, size_t end) {
        return std::ranges::any_of(found, [&](auto r) { return r.first < end && begin < r.second; });
    };
    size_t begin = 0;
    for (size_t i = 0; i < ends.size(); i++) {
        bool is_same = bytes.compare(begin, ends[i] - begin, whole, begin, ends[i] - begin) == 0;
        require(!is_same || covered(begin, ends[i]));
        begin = ends[i];
    }
}

void restore_bytes(std::string_view bytes) {
    if (bytes.empty()) return;
    uint64_t size = static_cast<uint8_t>(bytes[0]) * uint64_t{300};
    auto message = pack::restore(pack::Method::zstd, bytes.substr(1), size);
    require(!message || message->size() == size);
}

void compress_bytes(std::string_view bytes) {
    auto stored = pack::compress(bytes.substr(0, pack::kMaxContent));
    if (stored) require(pack::restore(pack::Method::zstd, *stored, bytes.size()) == bytes);
}

std::string read_frames(std::string_view file) {
    auto reader = pack::FrameReader::open(
        [file](uint64_t offset, std::span<char> into) {
            if (offset > file.size() || file.size() - offset < into.size()) return false;
            file.copy(into.data(), into.size(), offset);
            return true;
        },
        file.size());
    std::string message;
    std::string piece(1000, '\0');
    for (size_t n = 1; reader && n > 0; message.append(piece, 0, n)) n = reader->read(message.size(), piece);
    require(!reader || message.size() <= reader->size());
    if (reader && message.size() == reader->size()) require(reader->is_whole(0, reader->size()));
    return message;
}

/// `damage`: as above.
void damage_frames(std::string_view message, std::string_view damage) {
    pack::FrameWriter writer(7);
    std::string file(writer.add(message));
    file += writer.finish();
    require(read_frames(file) == message);
    for (size_t i = 0; i + 1 < damage.size(); i += 2)
        file[file.size() * static_cast<uint8_t>(damage[i]) / 256] += damage[i + 1];
    require(message.starts_with(read_frames(file)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    size_t half = input.size() / 2;
    if (data[0] == 'd') damage_pack(input.substr(0, half), input.substr(half));
    if (data[0] == 'b') read_bytes(input);
    if (data[0] == 'r') restore_bytes(input);
    if (data[0] == 'c') compress_bytes(input);
    if (data[0] == 'f') read_frames(input);
    if (data[0] == 'm' && half > 0) damage_frames(input.substr(0, half), input.substr(half));
    return 0;
}
