// The header of a frame on a channel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mox::ipc {

struct FrameHeader {
    uint32_t length;  // of the payload, bytes
    uint32_t id;      // of the request; 0 when no reply is wanted
    uint16_t kind;
    uint8_t flags;
    uint8_t fds;  // descriptors beside the frame
};
static_assert(sizeof(FrameHeader) == 12);

constexpr uint8_t kReplyFlag = 1;
constexpr uint8_t kErrorFlag = 2;

constexpr size_t kMaxFrame = 4u << 20;   // bytes of payload
constexpr size_t kMaxFdsPerFrame = 200;  // the kernel takes 253

}  // namespace mox::ipc
