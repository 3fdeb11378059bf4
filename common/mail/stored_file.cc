#include "common/mail/stored_file.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "common/pack/compression.h"

namespace mox::mail {
namespace {

size_t pread_some(int file, uint64_t offset, std::span<char> into) {
    for (;;) {
        ssize_t n = ::pread(file, into.data(), into.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        return n > 0 ? static_cast<size_t>(n) : 0;
    }
}

}  // namespace

pack::FrameReader::ReadAt reader_of(const Fd& file) {
    return [fd = file.get()](uint64_t offset, std::span<char> into) {
        while (!into.empty()) {
            size_t n = pread_some(fd, offset, into);
            if (n == 0) return false;
            offset += n;
            into = into.subspan(n);
        }
        return true;
    };
}

const std::string& StoredFile::start() const {
    if (!packed_) return start_;
    packed_ = false;
    auto message = pack::restore(pack::Method::zstd, start_, size_);
    has_failed_ |= !message;
    start_ = std::move(message).value_or("");
    return start_;
}

pack::FrameReader* StoredFile::frames() const {
    if (frames_ == nullptr && file_) {
        auto reader = pack::FrameReader::open(reader_of(file_), stored_);
        if (reader && reader->size() == size_) frames_ = std::make_unique<pack::FrameReader>(std::move(*reader));
    }
    return frames_.get();
}

size_t StoredFile::read_some(uint64_t offset, std::span<char> into) const {
    if (stored_ != 0) return frames() != nullptr ? frames()->read(offset, into) : 0;
    return pread_some(file_.get(), offset, into.first(std::min<uint64_t>(into.size(), size_ - offset)));
}

size_t StoredFile::read(uint64_t offset, std::span<char> into) const {
    if (offset >= size_ || into.empty()) return 0;
    if (offset < start().size()) return start().copy(into.data(), into.size(), offset);
    if (!file_) return 0;
    size_t n = read_some(offset, into);
    has_failed_ |= n == 0;
    return n;
}

bool StoredFile::is_whole(uint64_t offset, uint64_t length) const {
    if (has_failed_) return false;
    if (packed_) return start().size() == size_;
    if (!file_ || stored_ == 0) return true;
    return frames() != nullptr && frames()->is_whole(offset, length);
}

}  // namespace mox::mail
