// The configuration of local mode (moxd localserve): two commented files for a server that is tried out on the
// loopback address, without root and without DNS. They are read like any other configuration, by the functions in
// config.h.
#pragma once

#include <cstdint>
#include <string>

namespace mox::config {

struct LocalOptions {
    std::string directory;              // absolute; holds data, control socket and TLS files
    std::string address = "127.0.0.1";  // to listen on
    uint16_t port_offset = 0;           // added to every port; at most kMaxPortOffset
};

inline constexpr uint16_t kMaxPortOffset = 60'000;
inline constexpr const char* kLocalAccount = "mox";
inline constexpr const char* kLocalAddress = "mox@localhost";

/// mox.conf of local mode. Ports: 1025 SMTP, 1587 submission, 1465 submissions, 1143 IMAP, 1993 IMAPS, 1080 HTTP,
/// 1443 HTTPS, 1081 metrics.
std::string local_mox_conf(const LocalOptions& options);

/// domains.conf of local mode: the domain localhost with the account mox.
std::string local_domains_conf();

}  // namespace mox::config
