// Numbers in formats that are on disk: little-endian, whatever the machine is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mox::text {

template <class N>
void put_little_endian(std::string& out, N number) {
    for (size_t i = 0; i < sizeof(N); i++) out += static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
}

/// `bytes` has them.
template <class N>
N get_little_endian(std::string_view bytes, size_t at) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(N); i++) number |= uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return static_cast<N>(number);
}

}  // namespace mox::text
