#include "queued/schedule.h"

#include <algorithm>
#include <cmath>

namespace mox::queued {
namespace {

constexpr std::chrono::seconds kDefaultRetry{450};
constexpr int64_t kSoon = 5;  // seconds, until the process that was away is there again
constexpr double kJitter = 0.05;

}  // namespace

std::chrono::seconds backoff(const std::vector<std::chrono::seconds>& retry_after, uint32_t attempts, double jitter) {
    auto span = kDefaultRetry;
    if (!retry_after.empty()) {
        size_t index = std::min<size_t>(attempts > 0 ? attempts - 1 : 0, retry_after.size() - 1);
        span = retry_after[index];
    }
    auto shift = std::llround(static_cast<double>(span.count()) * kJitter * std::clamp(jitter, -1.0, 1.0));
    return std::max(std::chrono::seconds(1), span + std::chrono::seconds(shift));
}

Decision decide(const AttemptFacts& facts, const RetryPolicy& policy) {
    Decision d;
    d.give_up_at = facts.queued + policy.give_up_after.count();
    if (facts.verdict == smtp::Verdict::delivered) {
        d.step = Step::remove;
        return d;
    }
    if (facts.interrupted) {
        d.next_attempt = facts.now + kSoon;
        return d;
    }
    d.expired = facts.verdict == smtp::Verdict::temporary && facts.now >= d.give_up_at;
    if (facts.verdict == smtp::Verdict::permanent || d.expired) {
        d.step = Step::fail;
        d.notice = Notice::failed;
        return d;
    }
    int64_t next = facts.now + backoff(policy.retry_after, facts.attempts, facts.jitter).count();
    d.next_attempt = std::min(next, d.give_up_at);
    // RFC 5321 4.5.4.1: tell the sender early that it takes long; once.
    if (!facts.delay_notified && facts.now - facts.queued >= policy.delay_notice_after.count())
        d.notice = Notice::delayed;
    return d;
}

}  // namespace mox::queued
