// The bytes of a message as storaged hands them out: what is small in memory, the rest in a file; each as it came, or
// compressed (common/pack/compression.h, frames.h).
//
// Decompressed when it is read first: small messages whole, of a file a frame. From one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "common/async/fd.h"
#include "common/pack/frames.h"

namespace mox::mail {

class StoredFile {
  public:
    /// None: reads nothing.
    StoredFile() = default;
    /// Of a message of `size` bytes. `stored`: how many the file has when it is compressed, else 0.
    StoredFile(Fd file, uint64_t size, uint64_t stored) : file_(std::move(file)), size_(size), stored_(stored) {}
    /// Of a message whose beginning, or all, is in memory. `packed`: that is all, and compressed.
    StoredFile(std::string start, bool packed, Fd file, uint64_t size, uint64_t stored)
        : start_(std::move(start)), packed_(packed), file_(std::move(file)), size_(size), stored_(stored) {}
    explicit operator bool() const { return static_cast<bool>(file_); }
    /// Whether there is more than the beginning, or the beginning is so long.
    bool reaches(uint64_t end) const { return file_ || packed_ || start_.size() >= end; }
    uint64_t size() const { return size_; }
    /// At most `into.size()` bytes of the message at an offset; 0 at the end, and where the file fails or is damaged.
    size_t read(uint64_t offset, std::span<char> into) const;
    /// Whether a read before the end gave nothing.
    bool has_failed() const { return has_failed_; }
    /// Whether a range of the message can be read, as far as that can be told without reading it: of a compressed one
    /// the checksums are right.
    bool is_whole(uint64_t offset, uint64_t length) const;
    bool is_whole() const { return is_whole(0, size_); }
    /// Gives the descriptor away; nothing can be read any more.
    Fd take() { return std::exchange(file_, {}); }

  private:
    const std::string& start() const;
    pack::FrameReader* frames() const;
    size_t read_some(uint64_t offset, std::span<char> into) const;

    mutable std::string start_;
    mutable bool packed_ = false;
    Fd file_;
    uint64_t size_ = 0;
    uint64_t stored_ = 0;
    mutable std::unique_ptr<pack::FrameReader> frames_;  // of a compressed one that was read
    mutable bool has_failed_ = false;
};

/// What reads the stored bytes of a file for a FrameReader, which must not outlive it.
pack::FrameReader::ReadAt reader_of(const Fd& file);

}  // namespace mox::mail
