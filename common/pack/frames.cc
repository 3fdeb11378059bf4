#include "common/pack/frames.h"

#include <algorithm>
#include <stdexcept>
#include <xxhash.h>
#include <zstd.h>

#include "common/pack/zstd_owners.h"
#include "common/text/little_endian.h"

namespace mox::pack {
namespace {

constexpr uint32_t kSkippable = 0x184d2a5d;  // RFC 8878 3.1.2: a decoder passes over it
constexpr uint32_t kMagic = 0x66786d7a;      // "zmxf"
constexpr size_t kSkippableHead = 8;
constexpr size_t kEntry = 12;  // of the table, for each frame
constexpr size_t kTail = 48;
constexpr int kLevel = 3;  // in the background: better than level 1 by a tenth
// 16 GiB of message: more than any listener takes.
constexpr uint64_t kMaxFrames = 1u << 17;
constexpr uint64_t kMaxFrameContent = 4u << 20;

uint64_t checksum_of(std::string_view bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

/// Of the stored bytes of a frame.
uint64_t checksum_of(std::string_view stored, uint64_t content, uint64_t frame) {
    return XXH3_64bits_withSeed(stored.data(), stored.size(), content ^ frame << 40);
}

using Hash = std::unique_ptr<XXH3_state_t, Freed<XXH3_freeState>>;

Hash new_hash() {
    auto hash = owned<Hash>(XXH3_createState());
    XXH3_64bits_reset(hash.get());
    return hash;
}

}  // namespace

struct FrameWriter::State {
    Compressor context = owned<Compressor>(ZSTD_createCCtx());
    Hash hash = new_hash();
};

FrameWriter::FrameWriter(uint64_t content)
    : state_(std::make_unique<State>()), content_(content), frame_(ZSTD_compressBound(kFrameContent), '\0') {
    ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, kLevel);
}

FrameWriter::~FrameWriter() = default;

std::string_view FrameWriter::add(std::string_view bytes) {
    size_t made = ZSTD_compress2(state_->context.get(), frame_.data(), frame_.size(), bytes.data(), bytes.size());
    // There is room for any content: only memory can be missing.
    if (ZSTD_isError(made) != 0) throw std::bad_alloc();
    XXH3_64bits_update(state_->hash.get(), bytes.data(), bytes.size());
    std::string_view stored = std::string_view(frame_).substr(0, made);
    text::put_little_endian(table_, static_cast<uint32_t>(made));
    text::put_little_endian(table_, checksum_of(stored, content_, frames_++));
    size_ += bytes.size();
    stored_ += made;
    return stored;
}

std::string FrameWriter::finish() {
    std::string end = std::move(table_);
    text::put_little_endian(end, kMagic);
    text::put_little_endian(end, static_cast<uint32_t>(kFrameContent));
    text::put_little_endian(end, frames_);
    text::put_little_endian(end, size_);
    text::put_little_endian(end, content_);
    text::put_little_endian(end, XXH3_64bits_digest(state_->hash.get()));
    text::put_little_endian(end, checksum_of(end));
    std::string out;
    text::put_little_endian(out, kSkippable);
    text::put_little_endian(out, static_cast<uint32_t>(end.size()));
    out += end;
    stored_ += out.size();
    return out;
}

std::optional<FrameReader> FrameReader::open(ReadAt read, uint64_t stored) {
    if (stored < kSkippableHead + kTail) return std::nullopt;
    std::string tail(kTail, '\0');
    if (!read(stored - kTail, std::span(tail))) return std::nullopt;
    auto frames = text::get_little_endian<uint64_t>(tail, 8);
    if (text::get_little_endian<uint32_t>(tail, 0) != kMagic || frames == 0 || frames > kMaxFrames) return std::nullopt;
    uint64_t end_size = frames * kEntry + kTail;
    if (end_size + kSkippableHead > stored) return std::nullopt;
    std::string end(end_size, '\0');
    if (!read(stored - end_size, std::span(end))) return std::nullopt;
    FrameReader reader;
    reader.read_at_ = std::move(read);
    if (!reader.parse_end(end, stored - end_size - kSkippableHead)) return std::nullopt;
    return reader;
}

/// The table and the tail; `stored` bytes of frames are before the skippable one.
bool FrameReader::parse_end(std::string_view end, uint64_t stored) {
    std::string_view tail = end.substr(end.size() - kTail);
    if (text::get_little_endian<uint64_t>(tail, 40) != checksum_of(end.substr(0, end.size() - 8))) return false;
    frame_content_ = text::get_little_endian<uint32_t>(tail, 4);
    auto frames = text::get_little_endian<uint64_t>(tail, 8);
    size_ = text::get_little_endian<uint64_t>(tail, 16);
    content_ = text::get_little_endian<uint64_t>(tail, 24);
    checksum_ = text::get_little_endian<uint64_t>(tail, 32);
    if (frame_content_ == 0 || frame_content_ > kMaxFrameContent || size_ > frames * frame_content_ ||
        size_ <= (frames - 1) * frame_content_)
        return false;
    table_ = end.substr(0, end.size() - kTail);
    offsets_.push_back(0);
    for (size_t i = 0; i < frames; i++) {
        auto length = text::get_little_endian<uint32_t>(table_, i * kEntry);
        if (length > ZSTD_compressBound(frame_content_)) return false;
        offsets_.push_back(offsets_.back() + length);
    }
    return offsets_.back() == stored;
}

/// The stored bytes of a frame, when they are as they were written.
bool FrameReader::fetch(size_t frame, std::string& stored) {
    stored.resize(offsets_[frame + 1] - offsets_[frame]);
    return read_at_(offsets_[frame], std::span(stored)) &&
           checksum_of(stored, content_, frame) == text::get_little_endian<uint64_t>(table_, frame * kEntry + 4);
}

bool FrameReader::load(size_t frame) {
    if (loaded_ == frame) return true;
    loaded_ = SIZE_MAX;
    std::string stored;
    if (!fetch(frame, stored)) return false;
    bytes_.resize(std::min(frame_content_, size_ - frame * frame_content_));
    size_t made =
        ZSTD_decompressDCtx(decompressor_of_thread(), bytes_.data(), bytes_.size(), stored.data(), stored.size());
    if (ZSTD_isError(made) != 0 || made != bytes_.size()) return false;
    loaded_ = frame;
    return true;
}

size_t FrameReader::read(uint64_t offset, std::span<char> into) {
    if (offset >= size_ || into.empty() || !load(offset / frame_content_)) return 0;
    return bytes_.copy(into.data(), into.size(), offset % frame_content_);
}

bool FrameReader::is_whole(uint64_t offset, uint64_t length) {
    if (offset >= size_ || length == 0) return true;
    size_t last = (offset + std::min(length, size_ - offset) - 1) / frame_content_;
    std::string stored;
    for (size_t frame = offset / frame_content_; frame <= last; frame++)
        if (!fetch(frame, stored)) return false;
    return true;
}

bool FrameReader::is_as_written() {
    auto hash = new_hash();
    for (size_t frame = 0; frame + 1 < offsets_.size(); frame++) {
        if (!load(frame)) return false;
        XXH3_64bits_update(hash.get(), bytes_.data(), bytes_.size());
    }
    return XXH3_64bits_digest(hash.get()) == checksum_;
}

}  // namespace mox::pack
