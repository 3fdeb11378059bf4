// Bytes as hexadecimal digits, by libsodium: lower case out, either case in.
#pragma once

#include <optional>
#include <sodium.h>
#include <string>
#include <string_view>

namespace mox::text {

inline std::string encode_hex(std::string_view bytes) {
    std::string out(bytes.size() * 2 + 1, '\0');
    sodium_bin2hex(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    out.pop_back();  // the terminating zero
    return out;
}

/// Nothing when `text` is not whole bytes. Between them may stand characters of `ignored`.
inline std::optional<std::string> decode_hex(std::string_view text, const char* ignored = nullptr) {
    std::string out(text.size() / 2 + 1, '\0');
    size_t size = 0;
    const char* end = nullptr;
    if (sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(), ignored,
                       &size, &end) != 0 ||
        end != text.data() + text.size())
        return std::nullopt;
    out.resize(size);
    return out;
}

}  // namespace mox::text
