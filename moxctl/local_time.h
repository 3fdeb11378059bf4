// Times as the administrator reads them: of the time zone that moxctl runs in.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace mox::moxctl {

/// `unix_seconds` in a form of strftime(3), at most 31 characters; empty for a time without a date.
inline std::string local_time(int64_t unix_seconds, const char* form) {
    time_t time = unix_seconds;
    tm local{};
    char text[32] = "";
    if (localtime_r(&time, &local) == nullptr) return {};
    return {text, std::strftime(text, sizeof text, form, &local)};
}

}  // namespace mox::moxctl
