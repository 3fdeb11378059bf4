// How a message between programs is declared: once, as a plain struct (in proto/).
//
//     struct CreateSpool {
//         MOX_MESSAGE(CreateSpool, 0x0301, SpoolFile, from(Role::smtpd, Role::queued))
//         uint64_t size_hint;
//     };
//
// gives it a number on the wire, its reply and the roles that may send it: the row of the authority table. Encoding,
// decoding and the debug print follow from the fields. Replies are plain structs without a declaration. A message whose
// reply is NoReply is sent and forgotten.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/error.h"
#include "common/ipc/codec.h"
#include "common/ipc/role.h"

namespace mox::ipc {

using Kind = uint16_t;

/// The reply of messages that have none.
struct NoReply {};
/// The reply of messages that only succeed or fail.
struct Done {};

#define MOX_MESSAGE(name, number, reply, senders)          \
    static constexpr ::mox::ipc::Kind kKind = number;      \
    static constexpr std::string_view kName = #name;       \
    static constexpr ::mox::ipc::Roles kSenders = senders; \
    using Reply = reply;

/// The messages one side serves. A server has an on(Message) for each, or does not compile.
template <class... M>
struct Messages {};

}  // namespace mox::ipc
