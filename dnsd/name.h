// Domain names as they are asked for: checked, and those under which addresses are looked up.
//
// Pure functions. RFCs: 1035 2.3.4 (lengths), 2181 11 (any byte may be in a name; we ask for host-like names only),
// 1035 3.5 and 3596 2.5 (reverse names).
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"

namespace mox::dnsd {

constexpr size_t kMaxName = 253;  // bytes in presentation form without the last dot
constexpr size_t kMaxLabel = 63;

/// The name in lower case and without trailing dot. Letters, digits, hyphens and underscores; error bad_request.
Result<std::string> check_name(std::string_view name);

/// `1.2.0.192.in-addr.arpa` for an address in textual form; error bad_request.
Result<std::string> reverse_name(std::string_view address);

}  // namespace mox::dnsd
