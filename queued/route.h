// Which way an attempt goes: over a configured transport, or to the servers of the recipient's domain.
//
// A pure function over the configuration and the entry.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/supervise.h"

namespace mox::queued {

/// What routes look at.
struct RouteFacts {
    std::string account;
    std::string from_domain;  // of the envelope sender, empty for <>
    std::string to_domain;
    uint32_t attempts = 0;  // made before this one
};

/// The first route that matches, or null: deliver directly.
const proto::Route* choose_route(const std::vector<proto::Route>& routes, const RouteFacts& facts);

/// The transport of that name, or null.
const proto::Transport* find_transport(const std::vector<proto::Transport>& transports, std::string_view name);

/// Whether `pattern`, a domain or with a dot in front everything below one, matches. Whatever the case and form of
/// labels.
bool domain_matches(std::string_view pattern, std::string_view domain);

/// The domain of an address: what stands behind its last "@", in lower case and as A-labels; empty when it has none.
std::string domain_of(std::string_view address);

}  // namespace mox::queued
