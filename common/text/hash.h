// A text as a number, by libsodium's generic hash (BLAKE2b): the same in each process and version, so it may be kept.
#pragma once

#include <cstdint>
#include <cstring>
#include <sodium.h>
#include <string_view>

namespace mox::text {

/// The first 64 bits of the hash. Texts that fall together are not met by chance; whoever tries some 2^32 texts of his
/// own finds two.
inline uint64_t hash64(std::string_view text) {
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof digest, reinterpret_cast<const unsigned char*>(text.data()), text.size(), nullptr,
                       0);
    uint64_t number = 0;
    std::memcpy(&number, digest, sizeof number);
    return number;
}

}  // namespace mox::text
