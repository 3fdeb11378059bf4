// Charsets of mail to UTF-8, by iconv.
//
// glibc loads a module from disk for most charsets, which a sandboxed process cannot do: it calls preload_charsets()
// before it locks itself in; the modules then stay in memory. Others than those are not converted by any process, so
// the same bytes are the same text to all. Output is bounded and always well-formed UTF-8.
// RFCs: 2045 5.2 (default us-ascii), 2046 4.1.2, 2978.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

/// Converts `bytes`; what is not valid in the charset becomes U+FFFD. An empty name means us-ascii. The result has at
/// most `max_bytes` (the rest is left out). Nothing if the charset is not known.
std::optional<std::string> charset_to_utf8(std::string_view charset, std::string_view bytes, size_t max_bytes);

/// Loads the converters of the charsets that mail uses and keeps them. Once at the start of a process, before its
/// sandbox; returns how many are there. Costs a few ms.
size_t preload_charsets();

}  // namespace mox::mail
