// What an admin does with the queue: moxd passes on what moxctl asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/message.h"
#include "proto/storage.h"

namespace mox::proto {

/// Which entries: all conditions that are given must hold.
struct QueueFilter {
    std::vector<uint64_t> ids;
    std::string account;
    std::string sender;     // part of the envelope sender
    std::string recipient;  // part of the recipient
};
/// Entries with an id above `after` that match; ask again from the last id while `more`.
struct QueueListing {
    std::vector<QueueEntry> entries;
    bool more;
};
struct QueueList {
    MOX_MESSAGE(QueueList, 0x0701, QueueListing, from(Role::moxd))
    QueueFilter filter;
    uint64_t after;
    uint32_t limit;
};
struct QueueAffected {
    uint64_t count;
};
/// Tries the matching entries now.
struct QueueKick {
    MOX_MESSAGE(QueueKick, 0x0702, QueueAffected, from(Role::moxd))
    QueueFilter filter;
};
/// Removes the matching entries without a DSN.
struct QueueDrop {
    MOX_MESSAGE(QueueDrop, 0x0703, QueueAffected, from(Role::moxd))
    QueueFilter filter;
};

}  // namespace mox::proto
