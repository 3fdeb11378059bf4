// Charsets of mail to UTF-8, by ICU, which carries its tables in its library: a confined process has them all, and
// shares their memory with the others.
//
// Others than those listed in charset.cc are not converted by any process. Output is bounded and always well-formed
// UTF-8. RFCs: 2045 5.2 (default us-ascii), 2046 4.1.2, 2978.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// Converts `bytes`; what is not valid in the charset becomes U+FFFD. An empty name means us-ascii. The result has at
/// most `max_bytes` (the rest is left out). Nothing if the charset is not known.
std::optional<std::string> charset_to_utf8(std::string_view charset, std::string_view bytes, size_t max_bytes);

}  // namespace mox::mail
