// The servers of a recipient's domain, in the order in which they are tried.
//
// A pure function over the answer to the MX lookup. RFCs: 5321 5.1 (order, no MX, ourselves among them), 7505 (null
// MX).
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/smtp/outcome.h"
#include "proto/dns.h"

namespace mox::queued {

constexpr size_t kMaxHosts = 10;  // tried in one attempt

/// Either hosts, or why there are none.
struct HostPlan {
    std::vector<std::string> hosts;
    std::optional<smtp::Outcome> failure;
};

/// Hosts by preference, those of the same preference in random order, ended before `hostname`: this server.
HostPlan plan_hosts(const proto::MxHosts& answer, const std::string& domain, const std::string& hostname,
                    std::mt19937_64& random);

/// The address in a domain literal `[192.0.2.1]` or `[IPv6:2001:db8::1]`; nothing when it is none.
std::optional<std::string> literal_address(std::string_view domain);

/// Whether the text is an IP address.
bool is_address(const std::string& text);

}  // namespace mox::queued
