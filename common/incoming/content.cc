#include "common/incoming/content.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace mox::incoming {

void ContentBase::keep(std::string_view bytes) {
    size_ += bytes.size();
    if (error_) return;
    kept_ += bytes;
    if (file_ && kept_.size() >= kChunk) write_out();
}

void ContentBase::use(Result<proto::SpoolFile> file) {
    if (!file) {
        error_ = std::move(file.error());
        kept_ = {};
        return;
    }
    spool_ = file->spool;
    file_ = std::move(file->file);
    write_out();
}

size_t ContentBase::read(uint64_t offset, std::span<char> into) const {
    if (error_ || offset >= size_) return 0;
    uint64_t written = size_ - kept_.size();
    if (offset >= written) return kept_.copy(into.data(), into.size(), offset - written);
    into = into.first(std::min<uint64_t>(into.size(), written - offset));
    ssize_t n = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    return n > 0 ? static_cast<size_t>(n) : 0;
}

void ContentBase::finish() {
    if (file_) write_out();
    file_.reset();
}

void ContentBase::write_out() {
    std::string_view rest = kept_;
    while (!rest.empty() && !error_) {
        ssize_t n = ::write(file_.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            error_ = Error{Persistence::temporary, ErrorCode::no_space, "no room for the message at the moment"};
        else
            rest.remove_prefix(static_cast<size_t>(n));
    }
    kept_.clear();
}

}  // namespace mox::incoming
