#include "moxctl/transfer/source.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace mox::moxctl {

std::string_view FileBytes::read() {
    constexpr size_t kPiece = 64u << 10;
    buffer_.resize(kPiece);
    for (;;) {
        ssize_t n = ::read(file_.get(), buffer_.data(), buffer_.size());
        if (n >= 0) return std::string_view(buffer_).substr(0, static_cast<size_t>(n));
        if (errno != EINTR) throw Skipped(origin_, std::strerror(errno));
    }
}

}  // namespace mox::moxctl
