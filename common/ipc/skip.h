// Passing over encoded values (codec.h) without making them: for who needs some fields of a large struct only.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "common/ipc/codec.h"

namespace mox::ipc {

/// Takes `size` bytes off the front; false when there are fewer.
inline bool take_front(std::string_view& rest, size_t size) {
    if (size > rest.size()) return false;
    rest.remove_prefix(size);
    return true;
}

/// The count of a string or a vector.
inline bool take_count(std::string_view& rest, uint32_t& count) {
    if (rest.size() < sizeof count) return false;
    std::memcpy(&count, rest.data(), sizeof count);
    rest.remove_prefix(sizeof count);
    return true;
}

template <class T>
bool skip(std::string_view& rest);

namespace detail {

template <class... Fields>
bool skip_fields(std::string_view& rest, const std::tuple<Fields&...>*) {
    return (skip<Fields>(rest) && ...);
}

}  // namespace detail

/// Passes over a T, whose values are not looked at; false when the bytes end before.
template <class T>
bool skip(std::string_view& rest) {
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        return take_front(rest, sizeof(T));
    } else if constexpr (std::is_same_v<T, std::string>) {
        uint32_t size = 0;
        return take_count(rest, size) && take_front(rest, size);
    } else if constexpr (detail::IsVector<T>::value) {
        uint32_t count = 0;
        if (!take_count(rest, count) || count > rest.size()) return false;
        for (; count > 0; count--)
            if (!skip<typename T::value_type>(rest)) return false;
        return true;
    } else if constexpr (detail::IsOptional<T>::value) {
        if (rest.empty()) return false;
        bool present = rest.front() != 0;
        rest.remove_prefix(1);
        return !present || skip<typename T::value_type>(rest);
    } else {
        return detail::skip_fields(rest, static_cast<decltype(fields(std::declval<T&>()))*>(nullptr));
    }
}

}  // namespace mox::ipc
