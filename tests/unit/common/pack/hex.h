// Bytes out of hexadecimal digits, for samples of what is on disk.
#pragma once

#include <string>
#include <string_view>

namespace mox::pack::test {

inline std::string from_hex(std::string_view digits) {
    std::string bytes;
    for (size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
    return bytes;
}

}  // namespace mox::pack::test
