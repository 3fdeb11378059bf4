// What storaged gives in memory files: looked at once, then trusted, which only a file that nobody can change allows.
#pragma once

#include <cstdint>
#include <span>

namespace mox::imapd {

/// Whether the file has this size, and nobody can change or shrink it any more.
bool is_sealed(int fd, uint64_t size);
/// Reads all that fits; false when that fails.
bool read_whole(int fd, std::span<char> into);

}  // namespace mox::imapd
