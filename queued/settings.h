// What the parts of queued share: the present configuration and the processes they ask.
#pragma once

#include <memory>

#include "common/ipc/channel.h"
#include "proto/auth.h"
#include "proto/dns.h"
#include "proto/storage.h"
#include "proto/supervise.h"

namespace mox::queued {

/// A configuration; an attempt keeps the one it began with.
using Settings = std::shared_ptr<const proto::ConfigureQueued>;

struct Peers {
    ipc::Link storage{ipc::Role::storaged};
    ipc::Link auth{ipc::Role::authd};
    ipc::Link dns{ipc::Role::dnsd};
};

/// What is counted, for metrics.
struct Counters {
    uint64_t delivered = 0;        // recipients, over the network
    uint64_t delivered_local = 0;  // recipients, to accounts of this host
    uint64_t temporary = 0;        // attempts that will be repeated
    uint64_t failed = 0;           // recipients given up
    uint64_t connected = 0;
    uint64_t reused = 0;  // messages that went over a connection of another one
    uint64_t connect_errors = 0;
    uint64_t plaintext_fallback = 0;
    uint64_t notices = 0;  // DSNs stored
};

}  // namespace mox::queued
