#include "moxctl/transfer/target.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moxctl/connection.h"

namespace mox::moxctl {
namespace {

constexpr size_t kPiece = 64u << 10;

[[noreturn]] void fail(const std::string& path) {
    throw Failed(Error{Persistence::temporary, ErrorCode::io, fmt::format("{}: {}", path, std::strerror(errno))});
}

}  // namespace

void make_directories(const std::string& path) {
    for (size_t at = 0; at != std::string::npos;) {
        at = path.find('/', at + 1);
        std::string part = path.substr(0, at);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) fail(part);
    }
}

std::string_view MessageText::raw() {
    if (!prefix_.empty()) return std::exchange(prefix_, {});
    buffer_.resize(kPiece);
    size_t n = bytes_.read(offset_, buffer_);
    if (n == 0 && offset_ < bytes_.size())
        throw Failed({Persistence::temporary, ErrorCode::io, "a message file cannot be read"});
    offset_ += n;
    return std::string_view(buffer_).substr(0, n);
}

std::string_view MessageText::read() {
    text_.clear();
    while (text_.empty() && !ended_) {
        std::string_view bytes = raw();
        ended_ = bytes.empty();
        if (held_cr_ && (ended_ || bytes.front() != '\n')) text_ += '\r';
        held_cr_ = false;
        for (;;) {
            size_t cr = bytes.find('\r');
            text_ += bytes.substr(0, cr);
            if (cr == std::string_view::npos) break;
            bytes.remove_prefix(cr + 1);
            held_cr_ = bytes.empty();
            if (!held_cr_ && bytes.front() != '\n') text_ += '\r';
        }
    }
    return text_;
}

NewFile::NewFile(std::string path)
    : path_(std::move(path)), fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (!fd_) fail(path_);
}

NewFile::~NewFile() {
    if (fd_) unlink(path_.c_str());
}

void NewFile::write(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= kPiece) flush();
}

void NewFile::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail(path_);
        rest.remove_prefix(static_cast<size_t>(n));
    }
    buffer_.clear();
}

void NewFile::keep_as(const std::string& path, int64_t time) {
    flush();
    timespec times[2] = {{time, 0}, {time, 0}};
    if (time != 0 && futimens(fd_.get(), times) != 0) fail(path_);
    if (rename(path_.c_str(), path.c_str()) != 0) fail(path);
    fd_.reset();
}

}  // namespace mox::moxctl
