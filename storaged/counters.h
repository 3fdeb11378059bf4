// What storaged counts for its metrics, and limits that hold for all stores; from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "proto/supervise.h"

namespace mox::storaged {

/// When the index of words does what (text_index.h).
struct IndexLimits {
    size_t lists = 256;               // that wait, before they become a segment
    size_t list_bytes = 512u << 10;   // the same
    size_t fan = 8;                   // segments of one level that become one of the next
    size_t slice_bytes = 512u << 10;  // written in one step of a merge
};

/// Packs of small messages (packs.h), and large ones (compressing.h).
struct PackLimits {
    uint64_t max_size = 16u << 20;                   // of a pack
    uint64_t small_size = 2u << 20;                  // below, it is a small one
    uint64_t small_ones = 8;                         // more of them become one
    size_t slice_bytes = 512u << 10;                 // read in one step of a rewriting; more than a record
    std::chrono::milliseconds compress_after{5000};  // a large message came
};

/// What is kept of senders (sender_index.h).
struct SenderLimits {
    size_t waiting = 128;        // messages, before they get into a segment
    uint64_t segment = 1024;     // messages of one
    uint64_t messages = 50'000;  // of an account
    std::chrono::seconds keep{365 * 24 * 3600};
};

/// Words of junk (junk_words.cc).
struct JunkLimits {
    uint64_t words = 500'000;  // of an account
    int64_t looked_at = 8192;  // when there are more
    int64_t dropped = 2048;    // of those
};

struct Counters {
    std::atomic<uint64_t> deliveries = 0;
    std::atomic<uint64_t> delivery_failures = 0;
    std::atomic<uint64_t> enqueued = 0;
    std::atomic<uint64_t> appended = 0;
    std::atomic<uint64_t> reads = 0;  // operations on databases that only read
    std::atomic<uint64_t> writes = 0;
    std::atomic<uint64_t> transactions = 0;  // commits: writes share them
    std::atomic<uint64_t> operation_failures = 0;
    std::atomic<uint64_t> spool_files = 0;  // created
    std::atomic<uint64_t> messages_opened = 0;
    std::atomic<uint64_t> searches = 0;     // by words
    std::atomic<uint64_t> open_stores = 0;  // now
    std::atomic<uint64_t> used = 0;         // bytes of the messages of all accounts that were opened
    std::atomic<uint64_t> quota = 0;        // for them all together; 0: no limit
    std::atomic<uint64_t> expired = 0;      // messages
    std::atomic<uint64_t> columns = 0;      // bytes of mailboxes kept open (columns.h)
    std::atomic<uint64_t> packed = 0;       // bytes of messages that were put into packs
    std::atomic<uint64_t> packed_as = 0;    // what was stored of them
    std::atomic<uint64_t> compressed = 0;   // large messages that became smaller files
    std::atomic<proto::Compression> compression = proto::Compression::off;
    IndexLimits index;  // set before the first store is made
    PackLimits packs;   // the same
    SenderLimits senders;
    JunkLimits junk;
};

}  // namespace mox::storaged
