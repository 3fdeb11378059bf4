// One call on a channel socket that blocks until the reply is there: for code that cannot wait otherwise, like a TLS
// library's signature call. The socket belongs to such calls alone.
#pragma once

#include <chrono>
#include <string>

#include "common/ipc/message.h"

namespace mox::ipc {

namespace detail {
/// Sends a request frame and reads its reply frame; bytes of the reply payload.
Result<std::string> blocking_exchange(int socket, Kind kind, std::string payload, std::chrono::milliseconds limit);
}  // namespace detail

/// As Channel::call, but blocking the thread, at most `limit`. After channel_lost the socket must not be used again;
/// after timeout it may: a late reply is known by its id.
template <class M>
Result<typename M::Reply> blocking_call(int socket, M message, std::chrono::milliseconds limit) {
    Encoder encoder;
    encoder.put(message);
    auto payload = detail::blocking_exchange(socket, M::kKind, std::move(encoder.bytes), limit);
    if (!payload) return std::unexpected(std::move(payload.error()));
    auto reply = decode<typename M::Reply>(*payload);
    if (!reply) return temporary(ErrorCode::channel_lost, "malformed reply");
    return std::move(*reply);
}

}  // namespace mox::ipc
