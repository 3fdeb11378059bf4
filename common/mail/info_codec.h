// The parse of a message as it comes back from the store: made by another process, and checked before it is used.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/mail/message_info.h"

namespace mox::mail {

/// What of a parse is wanted; the rest may stay empty, which saves most of the time.
enum class InfoNeeds : uint8_t {
    all,
    structure,  // parts, and the envelopes of messages within them
    envelope,   // the first part and its envelope, and the date
    listed,     // the listed fields, and nothing else: not even a part
};

/// The parse of a message of `file_size` bytes; when it is damaged, that of an opaque text.
MessageInfo decode_info(std::string_view encoded, uint64_t file_size);
/// The parse without its file at hand: sizes are checked against each other only.
MessageInfo decode_info(std::string_view encoded, InfoNeeds needs = InfoNeeds::all);

}  // namespace mox::mail
