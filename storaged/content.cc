#include "storaged/content.h"

#include <cerrno>
#include <unistd.h>

#include "common/pack/compression.h"

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

Content::Packed Content::packed(proto::Compression compression) const {
    if (compression == proto::Compression::on) {
        std::call_once(tried_, [this] { compressed_ = pack::compress(*bytes_); });
        if (compressed_) return {pack::Method::zstd, *compressed_};
    }
    return {pack::Method::raw, *bytes_};
}

}  // namespace mox::storaged
