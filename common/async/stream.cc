#include "common/async/stream.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

namespace mox::async {
namespace {

constexpr size_t kChunk = 16384;
constexpr unsigned kTransfersInARow = 16;

IoResult from_errno(IoResult::State want, const char* action) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {want};
    if (errno == EINTR) return {want};
    throw ConnectionLost(std::string(action) + ": " + std::strerror(errno));
}

}  // namespace

IoResult SocketTransport::read(std::span<char> into) {
    ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n < 0) return from_errno(IoResult::State::want_read, "read");
    if (n == 0) return {IoResult::State::end};
    return {IoResult::State::done, static_cast<size_t>(n)};
}

IoResult SocketTransport::write(std::string_view bytes) {
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) return from_errno(IoResult::State::want_write, "write");
    return {IoResult::State::done, static_cast<size_t>(n)};
}

void SocketTransport::close_write() {
    ::shutdown(fd_.get(), SHUT_WR);
}

Stream::Stream(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

Task<void> wait_for(const Transport& transport, IoResult::State state, Deadline deadline) {
    if (state == IoResult::State::want_write)
        co_await writable(transport.fd(), deadline);
    else
        co_await readable(transport.fd(), deadline);
}

void Stream::consume(size_t count) {
    start_ += count;
    scanned_ = scanned_ > count ? scanned_ - count : 0;
    if (start_ < input_.size()) return;
    start_ = 0;
    // An idle connection holds no buffer.
    std::string().swap(input_);
}

void Stream::put_back(std::string_view bytes) {
    make_room();
    input_.insert(0, bytes);
    scanned_ = 0;
}

void Stream::make_room() {
    if (start_ == 0) return;
    input_.erase(0, start_);
    start_ = 0;
}

IoResult Stream::read_chunk() {
    make_room();
    // Through a buffer on the stack: the input buffer grows by what came, and only while it is in use.
    char chunk[kChunk];
    IoResult result = transport_->read(chunk);
    if (result.state == IoResult::State::done) input_.append(chunk, result.count);
    return result;
}

// A peer whose bytes are always there already must not keep the loop to itself.
Task<void> Stream::give_way() {
    if (++transfers_ % kTransfersInARow == 0) co_await Yield();
}

Task<bool> Stream::fill(Deadline deadline) {
    for (;;) {
        co_await give_way();
        IoResult result = read_chunk();
        if (result.state == IoResult::State::done) co_return true;
        if (result.state == IoResult::State::end) co_return false;
        co_await wait_for(*transport_, result.state, deadline);
    }
}

Task<Stream::Line> Stream::read_line(size_t limit, Deadline deadline) {
    for (;;) {
        std::string_view bytes = buffered();
        size_t at = bytes.find("\r\n", scanned_);
        if (at != std::string_view::npos && at <= limit) {
            std::string_view line = bytes.substr(0, at);
            start_ += at + 2;
            scanned_ = 0;
            co_return Line{line, LineEnd::crlf};
        }
        if (at != std::string_view::npos || bytes.size() > limit + 1) co_return Line{bytes, LineEnd::too_long};
        scanned_ = bytes.empty() ? 0 : bytes.size() - 1;
        if (!co_await fill(deadline)) throw ConnectionLost("closed by the peer");
    }
}

Task<std::string_view> Stream::read_some(size_t limit, Deadline deadline) {
    if (buffered().empty() && !co_await fill(deadline)) co_return std::string_view{};
    std::string_view bytes = buffered().substr(0, limit);
    start_ += bytes.size();
    scanned_ = 0;
    co_return bytes;
}

Task<void> Stream::flush(Deadline deadline) {
    size_t sent = 0;
    while (sent < output_.size()) {
        co_await give_way();
        IoResult result = transport_->write(std::string_view(output_).substr(sent));
        if (result.state == IoResult::State::done)
            sent += result.count;
        else
            co_await wait_for(*transport_, result.state, deadline);
    }
    std::string().swap(output_);
}

void Stream::replace_transport(std::unique_ptr<Transport> transport) {
    transport_ = std::move(transport);
    std::string().swap(input_);
    start_ = scanned_ = 0;
}

}  // namespace mox::async
