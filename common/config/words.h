// Words of domains.conf that are both read and written.
#pragma once

#include <array>
#include <string_view>

namespace mox::config {

/// In the order of TransportTls.
inline constexpr std::array<std::string_view, 4> kTransportTlsWords = {"implicit", "starttls", "opportunistic", "none"};

}  // namespace mox::config
