// Encoding of plain structs for channels and for the compact columns of the store.
//
// Little-endian, fixed width; strings and vectors with a 32-bit count; optionals with a byte; enums as their number,
// below kEnd; descriptors as a byte, the descriptor itself beside the frame. Decoding checks every length against what
// is there and every enum and bool for its range, and demands that nothing is left over: a frame is right or refused.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/async/fd.h"
#include "common/ipc/reflect.h"

namespace mox::ipc {

/// A string that must not be printed: passwords, keys. Travels like a string.
struct Secret {
    std::string value;
};

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsDuration : std::false_type {};
template <class R, class P>
struct IsDuration<std::chrono::duration<R, P>> : std::true_type {};

}  // namespace detail

class Encoder {
  public:
    std::string bytes;
    std::vector<Fd> fds;

    template <class T>
    void put(T& v) {
        using U = std::remove_const_t<T>;
        if constexpr (std::is_same_v<U, bool>) {
            bytes += v ? '\1' : '\0';
        } else if constexpr (std::is_enum_v<U>) {
            put_number(static_cast<std::underlying_type_t<U>>(v));
        } else if constexpr (std::is_integral_v<U>) {
            put_number(v);
        } else if constexpr (detail::IsDuration<U>::value) {
            put_number(static_cast<int64_t>(v.count()));
        } else if constexpr (std::is_same_v<U, std::string>) {
            put_number(static_cast<uint32_t>(v.size()));
            bytes += v;
        } else if constexpr (std::is_same_v<U, Fd>) {
            bytes += v ? '\1' : '\0';
            if (v) fds.push_back(std::move(v));
        } else if constexpr (detail::IsVector<U>::value) {
            put_number(static_cast<uint32_t>(v.size()));
            for (auto& item : v) put(item);
        } else if constexpr (detail::IsOptional<U>::value) {
            bytes += v ? '\1' : '\0';
            if (v) put(*v);
        } else {
            std::apply([&](auto&... field) { (put(field), ...); }, fields(v));
        }
    }

  private:
    template <std::integral N>
    void put_number(N n) {
        static_assert(std::endian::native == std::endian::little, "the encoding is little-endian");
        bytes.append(reinterpret_cast<const char*>(&n), sizeof n);
    }
};

class Decoder {
  public:
    explicit Decoder(std::string_view bytes, std::deque<Fd>* fds = nullptr) : rest_(bytes), fds_(fds) {}

    /// False when the bytes do not hold a T; the value is then partly filled and to be thrown away.
    template <class T>
    bool get(T& v) {
        if constexpr (std::is_same_v<T, bool>) {
            return get_flag(v);
        } else if constexpr (std::is_enum_v<T>) {
            std::underlying_type_t<T> n{};
            if (!get_number(n) || n >= static_cast<std::underlying_type_t<T>>(T::kEnd)) return false;
            v = static_cast<T>(n);
            return true;
        } else if constexpr (std::is_integral_v<T>) {
            return get_number(v);
        } else if constexpr (detail::IsDuration<T>::value) {
            int64_t n = 0;
            if (!get_number(n)) return false;
            v = T(static_cast<typename T::rep>(n));
            return true;
        } else if constexpr (std::is_same_v<T, std::string>) {
            uint32_t n = 0;
            if (!get_number(n) || n > rest_.size()) return false;
            v.assign(rest_.substr(0, n));
            rest_.remove_prefix(n);
            return true;
        } else if constexpr (std::is_same_v<T, Fd>) {
            return get_fd(v);
        } else if constexpr (detail::IsVector<T>::value) {
            return get_vector(v);
        } else if constexpr (detail::IsOptional<T>::value) {
            bool present = false;
            if (!get_flag(present)) return false;
            if (!present) {
                v.reset();
                return true;
            }
            return get(v.emplace());
        } else {
            return std::apply([&](auto&... field) { return (get(field) && ...); }, fields(v));
        }
    }

    bool at_end() const { return rest_.empty(); }
    /// What has not been taken yet.
    std::string_view& rest() { return rest_; }

  private:
    template <std::integral N>
    bool get_number(N& n) {
        if (rest_.size() < sizeof n) return false;
        std::memcpy(&n, rest_.data(), sizeof n);
        rest_.remove_prefix(sizeof n);
        return true;
    }
    bool get_flag(bool& v) {
        uint8_t n = 0;
        if (!get_number(n) || n > 1) return false;
        v = n == 1;
        return true;
    }
    bool get_fd(Fd& v) {
        bool present = false;
        if (!get_flag(present)) return false;
        if (!present) return true;
        if (fds_ == nullptr || fds_->empty()) return false;
        v = std::move(fds_->front());
        fds_->pop_front();
        return true;
    }
    template <class T>
    bool get_vector(std::vector<T>& v) {
        uint32_t n = 0;
        // Every item takes at least a byte, so a count beyond what is left is a lie, told before memory is taken.
        if (!get_number(n) || n > rest_.size()) return false;
        v.clear();
        v.reserve(std::min(n, kReserved));
        for (uint32_t i = 0; i < n; i++)
            if (!get(v.emplace_back())) return false;
        return true;
    }

    static constexpr uint32_t kReserved = 64;  // items: more memory is taken when they have turned up
    std::string_view rest_;
    std::deque<Fd>* fds_;
};

/// The bytes of a struct without descriptors.
template <class T>
std::string encode(const T& v) {
    Encoder e;
    e.put(v);
    return std::move(e.bytes);
}

/// The struct that the bytes hold, or nothing when they are not exactly one.
template <class T>
std::optional<T> decode(std::string_view bytes) {
    T v{};
    Decoder d(bytes);
    if (!d.get(v) || !d.at_end()) return std::nullopt;
    return v;
}

/// For logs at trace level: values in braces; secrets and long strings hidden.
template <class T>
void append_debug(std::string& out, const T& v) {
    if constexpr (std::is_same_v<T, Secret>) {
        out += "***";
    } else if constexpr (std::is_same_v<T, bool>) {
        out += v ? "yes" : "no";
    } else if constexpr (std::is_enum_v<T>) {
        out += fmt::to_string(static_cast<int64_t>(v));
    } else if constexpr (std::is_integral_v<T>) {
        out += fmt::to_string(v);
    } else if constexpr (detail::IsDuration<T>::value) {
        out += fmt::to_string(v.count());
    } else if constexpr (std::is_same_v<T, std::string>) {
        if (v.size() > 64)
            out += fmt::format("({} bytes)", v.size());
        else
            out += v;
    } else if constexpr (std::is_same_v<T, Fd>) {
        out += v ? "fd" : "no fd";
    } else if constexpr (detail::IsVector<T>::value) {
        out += fmt::format("[{}]", v.size());
    } else if constexpr (detail::IsOptional<T>::value) {
        if (v)
            append_debug(out, *v);
        else
            out += '-';
    } else {
        out += '{';
        bool first = true;
        std::apply(
            [&](const auto&... field) { ((out += first ? "" : ", ", first = false, append_debug(out, field)), ...); },
            fields(v));
        out += '}';
    }
}

}  // namespace mox::ipc
