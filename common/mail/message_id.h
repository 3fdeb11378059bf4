// Message ids in References, In-Reply-To and Message-ID fields.
//
// A pure function, tolerant and bounded. RFCs: 5322 3.6.4, 4.5.4.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mox::mail {

/// The ids in `value`, without <> and with the blanks inside them removed, in order. Text outside <> is skipped, a `<`
/// inside an unfinished id drops that one. If there are more than `max`, the last ones (the closest ancestors) stay.
std::vector<std::string> parse_message_ids(std::string_view value, size_t max = 256);

}  // namespace mox::mail
