// A large message, compressed, in a file of its own: zstd frames (RFC 8878 3.1.1), each of kFrameContent bytes of the
// message so that any part of it is read without what is before it, then a skippable frame (RFC 8878 3.1.2) that says
// where they are. `zstd -dc FILE` gives the message.
//
//     frames, one behind the other
//     magic 0x184D2A5D (4), bytes that follow (4)
//     for each frame: its length (4), the checksum of its stored bytes (8)
//     magic (4), bytes of the message in a frame (4), number of frames (8), bytes of the message (8), number of the
//     content (8), checksum of the message (8), checksum of all this from the lengths on (8)
//
// Numbers are little-endian, checksums XXH3; those of frames depend on the content and the position, so that a frame is
// taken for nothing else. The format is on disk: it is never changed. Memory: that of a frame, and 12 bytes for each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mox::pack {

constexpr size_t kFrameContent = 128u << 10;
/// What a compressed file is at least shorter: a third. Reading it costs more than reading a file, so it has to be
/// worth that; attachments that are compressed already stay as they are.
constexpr bool saves_enough(uint64_t size, uint64_t stored) {
    return stored <= size - size / 3;
}

/// Takes a message in pieces, gives what is to be stored of it. Not to be copied or moved.
class FrameWriter {
  public:
    /// `content` is its number: storaged's content.id.
    explicit FrameWriter(uint64_t content);
    ~FrameWriter();
    FrameWriter(const FrameWriter&) = delete;
    FrameWriter& operator=(const FrameWriter&) = delete;
    /// The next frame, of kFrameContent bytes; only the last has fewer. Valid until the next call.
    std::string_view add(std::string_view bytes);
    /// What goes behind the last frame.
    std::string finish();
    /// Bytes added, and bytes given so far.
    uint64_t size() const { return size_; }
    uint64_t stored() const { return stored_; }

  private:
    struct State;
    std::unique_ptr<State> state_;
    uint64_t content_;
    std::string table_;
    uint64_t frames_ = 0;
    std::string frame_;
    uint64_t size_ = 0;
    uint64_t stored_ = 0;
};

/// Reads such a file, through a function that reads `into.size()` bytes at an offset and says whether it could. Nothing
/// is taken for granted: a file that is damaged gives fewer bytes, never wrong ones.
class FrameReader {
  public:
    using ReadAt = std::function<bool(uint64_t offset, std::span<char> into)>;
    /// A file of `stored` bytes; nothing when it is no such file.
    static std::optional<FrameReader> open(ReadAt read, uint64_t stored);

    /// Of the message, and whose it is.
    uint64_t size() const { return size_; }
    uint64_t content() const { return content_; }
    /// At most `into.size()` bytes of the message at an offset; 0 at the end, or where the file is damaged.
    size_t read(uint64_t offset, std::span<char> into);
    /// Whether the stored bytes of all frames of a range are as they were written; does not decompress.
    bool is_whole(uint64_t offset, uint64_t length);
    /// Reads all of the message: whether it is as it was written.
    bool is_as_written();

  private:
    FrameReader() = default;
    bool parse_end(std::string_view end, uint64_t stored);
    bool fetch(size_t frame, std::string& stored);
    bool load(size_t frame);

    ReadAt read_at_;
    uint64_t size_ = 0;
    uint64_t content_ = 0;
    uint64_t checksum_ = 0;
    uint64_t frame_content_ = kFrameContent;
    std::string table_;
    std::vector<uint64_t> offsets_;  // of the frames, and where they end
    size_t loaded_ = SIZE_MAX;
    std::string bytes_;  // of the frame that is loaded
};

}  // namespace mox::pack
