// Access rights as their letters (RFC 4314 2.1). Pure.
//
// As bits, the standard rights are in the order of "lrswipkxtea", `l` being 1: as in proto::Right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// The bits; nothing when one of the letters is no right. `c` and `d` stand for several (RFC 4314 2.1.1).
std::optional<uint32_t> parse_rights(std::string_view letters);
/// The letters, with `c` and `d` where one of those that they stand for is among them (RFC 4314 2.1.1).
std::string rights_letters(uint32_t rights);

}  // namespace mox::mail
