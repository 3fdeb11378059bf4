#include "imapd/worker/sealed_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mox::imapd {

bool is_sealed(int fd, uint64_t size) {
    constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st{};
    return seals >= 0 && (seals & kNeeded) == kNeeded && fstat(fd, &st) == 0 &&
           static_cast<uint64_t>(st.st_size) == size;
}

bool read_whole(int fd, std::span<char> into) {
    off_t offset = 0;
    while (!into.empty()) {
        ssize_t n = pread(fd, into.data(), into.size(), offset);
        if (n <= 0) return false;
        offset += n;
        into = into.subspan(static_cast<size_t>(n));
    }
    return true;
}

}  // namespace mox::imapd
