// Writes the configuration files of local mode.
#include "common/config/local.h"

#include <fmt/format.h>

#include "common/config/syntax.h"

namespace mox::config {

std::string local_mox_conf(const LocalOptions& options) {
    auto port = [&](unsigned base) { return base + options.port_offset; };
    auto path = [&](const char* name) { return quote(options.directory + "/" + name); };
    std::string out = fmt::format(
        R"(# mox.conf of local mode: a mail server to try out on this machine only. See mox.conf(5).

hostname "localhost"
data-directory {data}
control-socket {control}
log {{ level debug }}

# Unknown recipients are delivered to the postmaster account, and some localparts
# give errors on purpose. Never use this on a server that others can reach.
local-mode yes
postmaster account "mox"

listen local {{
    address {address}
    tls files {certificate} {key}

)",
        fmt::arg("data", path("data")), fmt::arg("control", path("control")), fmt::arg("address", options.address),
        fmt::arg("certificate", path("tls/cert.pem")), fmt::arg("key", path("tls/key.pem")));
    out += fmt::format(R"(    # Passwords are accepted without TLS.
    allow-insecure-auth yes

    smtp {{ port {} }}
    submission {{ port {} }}
    submissions {{ port {} }}
    imap {{ port {} }}
    imaps {{ port {} }}
    http {{ port {} }}
    https {{ port {} }}
    metrics {{ port {} }}
}}
)",
                       port(1025), port(1587), port(1465), port(1143), port(1993), port(1080), port(1443), port(1081));
    return out;
}

std::string local_domains_conf() {
    return fmt::format(R"(# domains.conf of local mode. See domains.conf(5).

domain "localhost" {{
    description "Local mode"
}}

account {} {{
    full-name "Local user"
    address {}
}}
)",
                       quote(kLocalAccount), quote(kLocalAddress));
}

}  // namespace mox::config
