// The scheduler of the queue: which entries are tried when, and what follows from each attempt.
//
// Keeps a bounded window of due entries in memory; the queue itself is storaged's. Sleeps until the next entry is due,
// new ones came or an admin kicked some. An attempt is written down (attempts + 1, next attempt moved) before it is
// made, so a crash cannot hammer a host; the entry is removed only after it was delivered or its notice was stored. A
// crash in between can mean a second delivery or notice, never a loss. Bounded: entries held, attempts at once,
// attempts at once to a destination. RFCs: 5321 4.5.4.1, 6.1.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "proto/queue.h"
#include "queued/attempt.h"
#include "queued/notice.h"
#include "queued/schedule.h"
#include "queued/settings.h"

namespace mox::queued {

constexpr size_t kWindow = 500;       // entries held: waiting and under way
constexpr uint32_t kMaxListed = 500;  // entries in an admin's listing

class Scheduler {
  public:
    /// `peers` outlives it. Nothing is tried before configure().
    explicit Scheduler(Peers& peers);
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    void configure(Settings settings);
    /// The queue has new entries, or its owner has come back.
    void look_again();

    async::Task<Result<proto::QueueListing>> list(proto::QueueList request);
    async::Task<Result<proto::QueueAffected>> kick(proto::QueueKick request);
    async::Task<Result<proto::QueueAffected>> drop(proto::QueueDrop request);

    /// Starts nothing more and waits for what is under way, at most until the deadline.
    async::Task<void> finish(async::Deadline deadline);

    std::string metrics() const;

  private:
    class Running;
    using Entries = std::vector<proto::QueueEntry>;
    struct Waiting {
        proto::QueueEntry entry;
        std::string domain;       // of the recipient
        std::string destination;  // what max_per_destination counts
    };
    using WaitingList = std::list<Waiting>;

    // scheduler.cc: the loop and its jobs
    async::Task<void> run();
    async::Task<void> refill();
    async::Task<void> ask_next();
    void start_jobs();
    Entries take_group(WaitingList::iterator& first);
    void add_waiting(proto::QueueEntry entry);
    async::Task<void> run_job(Entries entries, std::string key);
    async::Task<Entries> note_attempts(Entries entries, Settings settings);
    async::Task<void> settle(Entries entries, std::vector<Attempted> results, Attempt& attempt, Settings settings,
                             log::Logger log);
    async::Task<void> notify(Notice kind, std::vector<NoticeRecipient> recipients, Attempt& attempt, Settings settings,
                             log::Logger log);
    async::Task<void> retry(proto::QueueEntry entry, int64_t next_attempt, std::string last_error, Notice told);
    template <class M>
    async::Task<bool> persist(M message);
    std::vector<uint64_t> held() const;
    async::Task<void> give_back();
    double jitter();

    // scheduler_admin.cc
    using Visit = std::function<bool(proto::QueueEntry&)>;  // false ends the scan
    async::Task<Result<ipc::Done>> scan(uint64_t after, proto::QueueFilter filter, Visit visit);
    async::Task<Result<Entries>> matching(proto::QueueFilter filter);

    Peers& peers_;
    Settings settings_;
    Counters counters_;
    std::mt19937_64 random_;
    Sessions sessions_;
    WaitingList waiting_;                             // due, in order
    std::map<uint64_t, proto::QueueUpdate> running_;  // attempts under way by id: how the entry was before
    std::set<uint64_t> dropped_;                      // of running_: an admin dropped them
    std::map<std::string, size_t> per_destination_;
    size_t jobs_ = 0;
    uint64_t queue_size_ = 0;
    bool ask_ = true;           // storaged is to be asked for due entries
    bool window_full_ = false;  // the last answer may not have been all
    bool stopping_ = false;
    async::Deadline next_look_ = async::kNever;
    async::Notify changed_;
    bool was_changed_ = false;
    async::Scope jobs_scope_;
    async::Scope loop_scope_;  // last: its tasks use all of the above
};

/// Whether an entry is one of those a filter names; parts of addresses compare without case.
bool matches(const proto::QueueFilter& filter, const proto::QueueEntry& entry);

}  // namespace mox::queued
