// What a caller decides on: an operation that did not work, and whether trying again later may help.
//
// The mail protocols answer every failure as temporary (4xx, NO with a hint) or permanent (5xx); so the
// difference is part of the type and every process passes it on unchanged. Text is for people: it says what
// to do and never holds secrets, file paths or message content.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mox {

/// Whether the same request may work later.
enum class Persistence : uint8_t { temporary, permanent, kEnd };

/// What went wrong, as far as a caller may want to act on it.
enum class ErrorCode : uint8_t {
    internal,      // a defect or an unexpected state on the other side
    channel_lost,  // the process asked died or closed the channel; temporary
    timeout,       // the deadline of the call passed; temporary
    not_found,     // the named thing does not exist
    exists,        // the named thing exists already
    bad_request,   // the request is malformed or not allowed in this state
    denied,        // credentials wrong, or not permitted
    over_quota,    // the account may not hold more
    no_space,      // the disk or the reserve is full; temporary
    io,            // the disk failed; temporary
    busy,          // a bound was reached (queue full, too many at once); temporary
    unavailable,   // a needed service does not answer; temporary
    kEnd
};

struct Error {
    Persistence persistence = Persistence::temporary;
    ErrorCode code = ErrorCode::internal;
    std::string text;

    bool is_temporary() const { return persistence == Persistence::temporary; }
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> temporary(ErrorCode code, std::string text) {
    return std::unexpected(Error{Persistence::temporary, code, std::move(text)});
}
inline std::unexpected<Error> permanent(ErrorCode code, std::string text) {
    return std::unexpected(Error{Persistence::permanent, code, std::move(text)});
}

}  // namespace mox
