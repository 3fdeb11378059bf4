#include "queued/scheduler.h"

#include <algorithm>
#include <sys/random.h>

#include "common/text/ascii.h"
#include "queued/give_notice.h"
#include "queued/route.h"

namespace mox::queued {
namespace {

using namespace std::chrono_literals;

constexpr auto kStorageRetry = 2s;
constexpr auto kGiveBackLimit = 500ms;
constexpr int kPersistTries = 30;
constexpr auto kLongestSleep = 1h;
constexpr int64_t kNoticeRetry = 300;   // seconds, when a notice cannot be stored
constexpr size_t kMaxErrorText = 2000;  // bytes of last_error

RetryPolicy policy_of(const proto::ConfigureQueued& config) {
    return {config.retry_after, config.give_up_after, config.delay_notice_after};
}

std::string_view result_name(const smtp::Outcome& outcome, const Decision& decision) {
    if (outcome.delivered()) return "delivered";
    if (decision.expired) return "expired";
    return decision.step == Step::fail ? "failed" : "retry";
}

void log_outcome(const log::Logger& log, const proto::QueueEntry& entry, const smtp::Outcome& outcome,
                 const Decision& decision) {
    log.info("delivery", {{"result", result_name(outcome, decision)},
                          {"id", entry.id},
                          {"account", entry.account},
                          {"from", entry.mail_from},
                          {"to", entry.recipient},
                          {"size", entry.size},
                          {"attempts", entry.attempts},
                          {"host", outcome.remote_name},
                          {"address", outcome.remote_address},
                          {"code", outcome.code},
                          {"status", outcome.enhanced},
                          {"text", outcome.text}});
}

}  // namespace

/// The place of a job among those under way; given back when the job ends, also when it is cancelled.
class Scheduler::Running {
  public:
    Running(Scheduler& scheduler, std::string key, const Entries& entries)
        : scheduler_(scheduler), key_(std::move(key)) {
        for (const auto& e : entries) ids_.push_back(e.id);
    }
    ~Running() {
        for (uint64_t id : ids_) {
            scheduler_.running_.erase(id);
            scheduler_.dropped_.erase(id);
        }
        if (--scheduler_.per_destination_[key_] == 0) scheduler_.per_destination_.erase(key_);
        scheduler_.jobs_--;
        // Not for each that ends: asking costs what the window holds.
        if (scheduler_.window_full_ && scheduler_.waiting_.size() < kWindow / 2) scheduler_.ask_ = true;
        scheduler_.was_changed_ = true;
        scheduler_.changed_.notify_all();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

  private:
    Scheduler& scheduler_;
    std::string key_;
    std::vector<uint64_t> ids_;
};

Scheduler::Scheduler(Peers& peers) : peers_(peers) {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = log::new_cid();
    random_.seed(seed);
    loop_scope_.spawn(run());
}

void Scheduler::configure(Settings settings) {
    settings_ = std::move(settings);
    sessions_.end_all();
    look_again();
}

void Scheduler::look_again() {
    ask_ = true;
    was_changed_ = true;
    changed_.notify_all();
}

double Scheduler::jitter() {
    return std::uniform_real_distribution<double>(-1, 1)(random_);
}

std::vector<uint64_t> Scheduler::held() const {
    std::vector<uint64_t> out;
    for (const auto& [id, update] : running_) out.push_back(id);
    for (const auto& w : waiting_) out.push_back(w.entry.id);
    return out;
}

// ---- the loop

async::Task<void> Scheduler::run() {
    for (;;) {
        was_changed_ = false;
        if (settings_ != nullptr && !stopping_) {
            if (ask_ || async::Clock::now() >= next_look_) co_await refill();
            start_jobs();
        }
        if (was_changed_) continue;
        try {
            co_await changed_.wait(std::min(next_look_, async::in(kLongestSleep)));
        } catch (const async::DeadlinePassed&) {
        }
    }
}

async::Task<void> Scheduler::refill() {
    ask_ = false;
    next_look_ = async::kNever;
    auto except = held();
    if (except.size() >= kWindow) {
        window_full_ = true;
        co_return;
    }
    auto limit = static_cast<uint32_t>(kWindow - except.size());
    auto due = co_await peers_.storage.call(proto::QueueDue{unix_now(), limit, std::move(except)}, kStorageTimeout);
    if (!due) {
        log::debug("the queue cannot be read just now", {{"error", due.error().text}});
        next_look_ = async::in(kStorageRetry);
        co_return;
    }
    window_full_ = due->entries.size() >= limit;
    auto known = held();  // may have changed while waiting
    for (auto& entry : due->entries) {
        if (waiting_.size() < kWindow && std::ranges::find(known, entry.id) == known.end())
            add_waiting(std::move(entry));
    }
    co_await ask_next();
}

async::Task<void> Scheduler::ask_next() {
    auto next = co_await peers_.storage.call(proto::QueueNext{held()}, kStorageTimeout);
    if (!next) {
        next_look_ = async::in(kStorageRetry);
        co_return;
    }
    queue_size_ = next->count;
    if (window_full_ || !next->when) co_return;  // the end of a job looks again
    // Not at once, should the clocks of the two processes disagree.
    auto span = std::clamp<int64_t>(*next->when - unix_now(), 1, 3600);
    next_look_ = std::min(next_look_, async::in(std::chrono::seconds(span)));
}

void Scheduler::add_waiting(proto::QueueEntry entry) {
    std::string domain = domain_of(entry.recipient);
    RouteFacts facts{entry.account, domain_of(entry.mail_from), domain, entry.attempts};
    const proto::Route* route = choose_route(settings_->routes, facts);
    std::string destination = route != nullptr ? "transport " + route->transport : domain;
    waiting_.push_back({std::move(entry), std::move(domain), std::move(destination)});
}

void Scheduler::start_jobs() {
    for (auto it = waiting_.begin();
         it != waiting_.end() && jobs_ < std::max<uint32_t>(settings_->max_concurrent, 1);) {
        size_t& under_way = per_destination_[it->destination];
        if (under_way >= std::max<uint32_t>(settings_->max_per_destination, 1)) {
            ++it;
            continue;
        }
        std::string key = it->destination;
        Entries group = take_group(it);
        jobs_++;
        under_way++;
        for (const auto& e : group)
            running_[e.id] = {e.id, e.next_attempt, e.last_attempt, e.attempts, e.last_error, e.delay_notified};
        jobs_scope_.spawn(run_job(std::move(group), std::move(key)));
    }
}

// The recipients of one message that one transaction can serve. `first` is then the one behind the first of them.
Scheduler::Entries Scheduler::take_group(WaitingList::iterator& first) {
    const Waiting head = *first;
    bool ascii = text::is_ascii(head.entry.recipient);
    Entries group;
    auto rest = waiting_.end();
    for (auto it = first; it != waiting_.end();) {
        // Those that need SMTPUTF8 apart, so that a server without it takes the others.
        bool fits = group.size() < kMaxRecipients && it->entry.message == head.entry.message &&
                    it->entry.attempts == head.entry.attempts && it->domain == head.domain &&
                    it->destination == head.destination && text::is_ascii(it->entry.recipient) == ascii;
        if (fits) {
            group.push_back(std::move(it->entry));
            it = waiting_.erase(it);
        } else {
            if (rest == waiting_.end()) rest = it;
            ++it;
        }
    }
    first = rest;
    return group;
}

// ---- a job

async::Task<void> Scheduler::run_job(Entries entries, std::string key) {
    Running running(*this, key, entries);
    co_await async::Yield();
    log::Logger log(log::new_cid());
    Settings settings = settings_;
    Entries noted = co_await note_attempts(std::move(entries), settings);
    if (noted.empty()) co_return;
    Attempt attempt(peers_, sessions_, settings, counters_, random_, log, noted);
    auto results = co_await attempt.run();
    co_await settle(std::move(noted), std::move(results), attempt, settings, log);
}

// Those whose attempt is on disk; the others stay as they are.
async::Task<Scheduler::Entries> Scheduler::note_attempts(Entries entries, Settings settings) {
    Entries out;
    for (auto& entry : entries) {
        int64_t now = unix_now();
        entry.attempts++;
        entry.last_attempt = now;
        entry.next_attempt = now + backoff(settings->retry_after, entry.attempts, jitter()).count();
        proto::QueueUpdate update{entry.id,       entry.next_attempt, entry.last_attempt,
                                  entry.attempts, entry.last_error,   entry.delay_notified};
        auto done = co_await peers_.storage.call(std::move(update), kStorageTimeout);
        if (done) {
            out.push_back(std::move(entry));
        } else if (done.error().is_temporary()) {
            next_look_ = std::min(next_look_, async::in(kStorageRetry));
        }
    }
    co_return out;
}

/// Changes the queue, again and again while storaged is away. False when it cannot be done.
template <class M>
async::Task<bool> Scheduler::persist(M message) {
    for (int tries = 0; tries < kPersistTries; tries++) {
        auto done = co_await peers_.storage.call(message, kStorageTimeout);
        if (done) co_return true;
        if (!done.error().is_temporary()) {
            if (done.error().code != ErrorCode::not_found)
                log::error("the queue cannot be changed", {{"message", M::kName}, {"error", done.error().text}});
            co_return false;
        }
        co_await async::sleep_for(kStorageRetry);
    }
    log::error("the queue cannot be changed: storaged does not come back", {{"message", M::kName}});
    co_return false;
}

async::Task<void> Scheduler::retry(proto::QueueEntry entry, int64_t next_attempt, std::string last_error, Notice told) {
    last_error.resize(std::min(last_error.size(), kMaxErrorText));
    bool notified = entry.delay_notified || told == Notice::delayed;
    bool done = co_await persist(proto::QueueUpdate{entry.id, next_attempt, entry.last_attempt, entry.attempts,
                                                    std::move(last_error), notified});
    if (!done) co_return;
    auto span = std::chrono::seconds(std::max<int64_t>(next_attempt - unix_now(), 0));
    next_look_ = std::min(next_look_, async::in(span));
}

async::Task<void> Scheduler::settle(Entries entries, std::vector<Attempted> results, Attempt& attempt,
                                    Settings settings, log::Logger log) {
    RetryPolicy policy = policy_of(*settings);
    proto::QueueRemove remove;
    std::vector<NoticeRecipient> failed, delayed, again;
    for (size_t i = 0; i < entries.size(); i++) {
        smtp::Outcome& outcome = results[i].outcome;
        proto::QueueEntry& entry = entries[i];
        Decision decision = decide({outcome.verdict, entry.attempts, entry.queued, unix_now(), entry.delay_notified,
                                    jitter(), outcome.interrupted},
                                   policy);
        log_outcome(log, entry, outcome, decision);
        if (results[i].state == EntryState::removed) continue;
        if (decision.step == Step::remove) {
            counters_.delivered++;
            remove.ids.push_back(entry.id);
        } else if (dropped_.contains(entry.id)) {
            continue;  // nobody wants to hear of it any more
        } else {
            if (outcome.interrupted) entry.attempts--;
            auto& list = decision.step == Step::fail ? failed : decision.notice == Notice::delayed ? delayed : again;
            list.push_back({std::move(entry), std::move(outcome), decision});
        }
    }
    if (!remove.ids.empty()) co_await persist(std::move(remove));
    counters_.failed += failed.size();
    counters_.temporary += delayed.size() + again.size();
    for (auto& r : again)
        co_await retry(std::move(r.entry), r.decision.next_attempt, std::move(r.outcome.text), Notice::none);
    if (!failed.empty()) co_await notify(Notice::failed, std::move(failed), attempt, settings, log);
    if (!delayed.empty()) co_await notify(Notice::delayed, std::move(delayed), attempt, settings, log);
}

// ---- notices

// Stores the notice, then changes the entries: after a crash between the two there may be a second notice, never none.
async::Task<void> Scheduler::notify(Notice kind, std::vector<NoticeRecipient> recipients, Attempt& attempt,
                                    Settings settings, log::Logger log) {
    const std::string account = recipients.front().entry.account;
    const std::string mail_from = recipients.front().entry.mail_from;
    bool stored = true;
    if (mail_from.empty()) {
        log.info("no notice: the message had no sender address", {{"account", account}});  // RFC 5321 6.1
    } else {
        co_await attempt.open_message();
        NoticeFacts facts{settings->hostname, fmt::format("{}.{:x}@{}", log.cid(), random_(), settings->hostname),
                          unix_now(), attempt.original_header()};
        std::string text = build_notice(kind, recipients, facts);
        auto done = co_await give_notice(peers_, kind, {account, mail_from, settings->hostname}, std::move(text));
        if (done)
            counters_.notices++;
        else
            log.warn("a notice cannot be given",
                     {{"account", account}, {"to", mail_from}, {"error", done.error().text}});
        stored = done || !done.error().is_temporary();
    }
    proto::QueueRemove remove;
    for (auto& r : recipients) {
        if (!stored)
            co_await retry(std::move(r.entry), unix_now() + kNoticeRetry, std::move(r.outcome.text), Notice::none);
        else if (kind == Notice::failed)
            remove.ids.push_back(r.entry.id);
        else
            co_await retry(std::move(r.entry), r.decision.next_attempt, std::move(r.outcome.text), Notice::delayed);
    }
    if (!remove.ids.empty()) co_await persist(std::move(remove));
}

// ---- the end, and what can be seen from outside

async::Task<void> Scheduler::finish(async::Deadline deadline) {
    stopping_ = true;
    try {
        co_await jobs_scope_.join(deadline);
        co_return;
    } catch (const async::DeadlinePassed&) {
        log::info("ending with deliveries under way; they will be tried again", {{"deliveries", jobs_}});
    }
    co_await give_back();
}

// Attempts that the end cuts off do not count: the next start makes them at once.
async::Task<void> Scheduler::give_back() {
    auto running = running_;
    jobs_scope_.cancel();
    for (auto& [id, update] : running) {
        update.next_attempt = unix_now();
        if (!co_await peers_.storage.call(std::move(update), kGiveBackLimit)) co_return;
    }
}

std::string Scheduler::metrics() const {
    std::string out;
    auto gauge = [&](std::string_view name, uint64_t value) {
        out += fmt::format("# TYPE {0} gauge\n{0} {1}\n", name, value);
    };
    auto counter = [&](std::string_view name, uint64_t value) {
        out += fmt::format("# TYPE {0} counter\n{0} {1}\n", name, value);
    };
    gauge("mox_queue_entries", queue_size_);
    gauge("mox_queue_waiting", waiting_.size());
    gauge("mox_queue_deliveries_running", jobs_);
    out += "# TYPE mox_queue_deliveries_total counter\n";
    auto result = [&](std::string_view name, uint64_t value) {
        out += fmt::format("mox_queue_deliveries_total{{result=\"{}\"}} {}\n", name, value);
    };
    result("delivered", counters_.delivered);
    result("local", counters_.delivered_local);
    result("retry", counters_.temporary);
    result("failed", counters_.failed);
    out += "# TYPE mox_queue_connection_total counter\n";
    out += fmt::format("mox_queue_connection_total{{result=\"ok\"}} {}\n", counters_.connected);
    out += fmt::format("mox_queue_connection_total{{result=\"reused\"}} {}\n", counters_.reused);
    out += fmt::format("mox_queue_connection_total{{result=\"error\"}} {}\n", counters_.connect_errors);
    counter("mox_queue_plaintext_fallback_total", counters_.plaintext_fallback);
    counter("mox_queue_notices_total", counters_.notices);
    return out;
}

}  // namespace mox::queued
