#include "common/ipc/blocking_call.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

#include "common/ipc/frame.h"

namespace mox::ipc::detail {
namespace {

using Clock = std::chrono::steady_clock;

bool wait(int socket, short events, Clock::time_point deadline) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd p{socket, events, 0};
    return ::poll(&p, 1, static_cast<int>(left)) > 0;
}

bool send_all(int socket, std::string_view bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
        ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0)
            bytes.remove_prefix(static_cast<size_t>(n));
        else if (errno != EINTR && (errno != EAGAIN || !wait(socket, POLLOUT, deadline)))
            return false;
    }
    return true;
}

bool receive_all(int socket, char* into, size_t size, Clock::time_point deadline) {
    while (size > 0) {
        ssize_t n = ::recv(socket, into, size, 0);
        if (n > 0) {
            into += n;
            size -= static_cast<size_t>(n);
        } else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !wait(socket, POLLIN, deadline)))) {
            return false;
        }
    }
    return true;
}

}  // namespace

Result<std::string> blocking_exchange(int socket, Kind kind, std::string payload, std::chrono::milliseconds limit) {
    auto deadline = Clock::now() + limit;
    static uint32_t last_id = 0;
    uint32_t id = ++last_id == 0 ? ++last_id : last_id;
    FrameHeader header{static_cast<uint32_t>(payload.size()), id, kind, 0, 0};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += payload;
    if (!send_all(socket, bytes, deadline)) return temporary(ErrorCode::channel_lost, "cannot ask");
    FrameHeader answer{};
    std::string reply;
    do {
        // Nothing has come yet: an answer that comes late will be known by its id.
        if (!wait(socket, POLLIN, deadline)) return temporary(ErrorCode::timeout, "no answer in time");
        if (!receive_all(socket, reinterpret_cast<char*>(&answer), sizeof answer, deadline))
            return temporary(ErrorCode::channel_lost, "no answer");
        if (answer.length > kMaxFrame || answer.fds != 0 || (answer.flags & kReplyFlag) == 0)
            return temporary(ErrorCode::channel_lost, "malformed answer");
        reply.resize(answer.length);
        if (!receive_all(socket, reply.data(), reply.size(), deadline))
            return temporary(ErrorCode::channel_lost, "answer cut short");
    } while (answer.id != id);
    if ((answer.flags & kErrorFlag) == 0) return reply;
    auto error = decode<Error>(reply);
    if (!error) return temporary(ErrorCode::channel_lost, "malformed error");
    return std::unexpected(std::move(*error));
}

}  // namespace mox::ipc::detail
