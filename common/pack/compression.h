// Compression of the small messages in packs (zstd, RFC 8878), against a dictionary of what mail is likely to have.
//
// The records of a pack carry the method, so compressed and raw ones lie side by side, and a store stays readable
// whatever the configuration says about new mail. Pure functions, from any thread; each thread keeps contexts of some
// 100 KB for compressing and for decompressing once it has done that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/pack/record.h"

namespace mox::pack {

/// The bytes compressed with Method::zstd; nothing where that does not save an eighth. At most kMaxContent bytes.
std::optional<std::string> compress(std::string_view bytes);

/// A message of `size` bytes, out of what is stored of it. Nothing when the stored bytes are not those of such a
/// message: a checksum has been right before, so whoever made the record was wrong.
std::optional<std::string> restore(Method method, std::string_view stored, uint64_t size);
/// The message of a record.
std::optional<std::string> restore(const Record& record);

}  // namespace mox::pack
