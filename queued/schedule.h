// When an entry is tried again, and when it is given up.
//
// Pure functions over numbers. RFCs: 5321 4.5.4.1 (retries over days, a notice of delay after hours).
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "common/smtp/outcome.h"

namespace mox::queued {

struct RetryPolicy {
    std::vector<std::chrono::seconds> retry_after;  // the last is repeated
    std::chrono::seconds give_up_after{0};
    std::chrono::seconds delay_notice_after{0};
};

/// Where an entry stands after an attempt. Times are Unix seconds.
struct AttemptFacts {
    smtp::Verdict verdict = smtp::Verdict::temporary;
    uint32_t attempts = 0;  // made, this one included
    int64_t queued = 0;
    int64_t now = 0;
    bool delay_notified = false;
    double jitter = 0;         // -1 to 1
    bool interrupted = false;  // by this server itself: the attempt does not count
};

enum class Step : uint8_t { remove, retry, fail };
enum class Notice : uint8_t { none, delayed, failed };

struct Decision {
    Step step = Step::retry;
    Notice notice = Notice::none;
    bool expired = false;      // given up for its age, not for a permanent failure
    int64_t next_attempt = 0;  // of retry
    int64_t give_up_at = 0;
};

/// How long to wait after that many attempts, 5% more or less by `jitter`.
std::chrono::seconds backoff(const std::vector<std::chrono::seconds>& retry_after, uint32_t attempts, double jitter);

/// What comes next. The last attempt is made when the time is up, not before.
Decision decide(const AttemptFacts& facts, const RetryPolicy& policy);

}  // namespace mox::queued
