// Putting messages into threads (RFC 5256 3: ORDEREDSUBJECT, REFERENCES) and writing them (4, 5 thread-data).
//
// Pure. Without recursion: a thread may be as deep as there are messages.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "imapd/worker/base_subject.h"

namespace mox::imapd {

/// What of a message counts.
struct ThreadMessage {
    uint32_t index;  // row
    int64_t date;
    BaseSubject subject;
    std::string id;                       // Message-ID without <>, may be empty
    std::vector<std::string> references;  // ids, oldest first
};

/// A forest: nodes by number, those without a message are parents that are not there.
struct Threads {
    static constexpr uint32_t kNone = UINT32_MAX;
    struct Node {
        uint32_t message = kNone;  // in the vector of messages
        uint32_t parent = kNone;
        std::vector<uint32_t> children;
    };
    std::vector<Node> nodes;
    std::vector<uint32_t> roots;
};

Threads thread_by_subject(const std::vector<ThreadMessage>& messages);
Threads thread_by_references(const std::vector<ThreadMessage>& messages);

/// `(1 2)(3 (4)(5))`; `number` says how a message is named.
std::string write_threads(const Threads& threads, const std::vector<ThreadMessage>& messages,
                          const std::function<uint32_t(uint32_t index)>& number);

}  // namespace mox::imapd
