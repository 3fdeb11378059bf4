#include "storaged/content.h"

#include <cerrno>
#include <unistd.h>

namespace mox::storaged {
namespace {

std::shared_ptr<const std::string> read_all(const Fd& file, uint64_t size) {
    auto bytes = std::make_shared<std::string>(size, '\0');
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(file.get(), bytes->data() + got, size - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail_errno("reading a spool file");
        got += static_cast<size_t>(n);
    }
    return bytes;
}

}  // namespace

Content::Content(std::string bytes)
    : size_(bytes.size()), bytes_(std::make_shared<const std::string>(std::move(bytes))) {}

Content::Content(std::string path, Fd file, uint64_t size) : size_(size), path_(std::move(path)) {
    if (size <= Journal::kMaxFile)
        bytes_ = read_all(file, size);
    else
        file_ = std::make_shared<const Fd>(std::move(file));
}

void Content::put(const LinkedFile& target) const {
    if (link_file(path_, target)) return;
    errno = ENOENT;
    fail_errno("linking a message file");
}

}  // namespace mox::storaged
