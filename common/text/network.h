// The network that a client's address stands for where clients are counted.
#pragma once

#include <arpa/inet.h>
#include <cstring>
#include <string>

namespace mox::text {

/// What is counted together: an IPv4 address, an IPv6 /64 (what one customer usually has). Other text stays as it is.
inline std::string network_of(const std::string& address) {
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
    std::memset(v6.s6_addr + 8, 0, 8);
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, &v6, text, sizeof text);
}

}  // namespace mox::text
