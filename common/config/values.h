// Single words to values: sizes, durations, names, addresses. Pure functions; empty result: not a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::config {

/// "512", "100K", "10M", "5G", "2T" in bytes; K is 1024.
std::optional<uint64_t> parse_size(std::string_view s);
/// The shortest text that parse_size reads as `size`.
std::string write_size(uint64_t size);

/// "30s", "5m", "4h", "7d", "7m30s": units in falling order, each at most once. At most 10 years.
std::optional<std::chrono::seconds> parse_duration(std::string_view s);
/// In the largest unit that fits: parse_duration() gives the same back.
std::string write_duration(std::chrono::seconds duration);

/// The name of a domain or host as A-labels in lower case (IDNA 2008 by libidn2). No final dot, no IP address.
std::optional<std::string> parse_domain_name(std::string_view s);

/// An IPv4 or IPv6 address in its canonical form.
std::optional<std::string> parse_ip(std::string_view s);
inline bool is_ipv6(std::string_view ip) {
    return ip.contains(':');
}

/// Localpart in dot-atom form, UTF-8 allowed, at most 64 bytes; "*" too (RFC 5321 4.1.2, RFC 6531 3.3).
bool is_localpart(std::string_view s);

/// The name of an account, a listener or a transport: ASCII letters, digits, . _ -; at most 64; the first is a
/// letter, a digit or "_". Safe as the name of a directory.
bool is_name(std::string_view s);

/// The name of a mailbox with "inbox" in front as "Inbox". No empty, "." or ".." parts, no "#" in front, no
/// control characters, at most 255 bytes.
std::optional<std::string> parse_mailbox(std::string_view s);

/// An absolute path of at most 1024 bytes.
bool is_path(std::string_view s);

}  // namespace mox::config
