// The account workers: one for each account that has sessions, and a blank one that waits ready.
#include <algorithm>
#include <csignal>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/log/log.h"
#include "moxd/entry.h"
#include "moxd/process_info.h"

namespace mox::moxd {

using ipc::Role;
using namespace std::chrono_literals;

namespace {

constexpr auto kConfigureLimit = 5s;
constexpr size_t kMaxWorkers = 5000;
constexpr size_t kMaxGreeting = 64 * 1024;  // bytes of text in a session handed over
constexpr size_t kMaxAsleep = 64u << 20;    // bytes of the states of all sessions that sleep
constexpr uint64_t kOtherFiles = 10'000;    // descriptors that are not for those
constexpr size_t kMaxAsleepOfAccount = 4u << 20;
constexpr size_t kMaxWaking = 16;  // accounts that are being woken at the same time
constexpr auto kWakeAgain = 1s;    // when there are too many workers
constexpr auto kWakeLimit = 60s;
constexpr auto kShortestSleep = 1s;
constexpr auto kShortestWork = 20s;  // or sleep-after, before a worker may sleep: an honest one asks no sooner
constexpr auto kFallAsleepLimit = 5s;

/// Who made the socket pair: the kernel noted it then, and no one can change it.
pid_t maker_of(const Fd& socket) {
    ucred maker{};
    socklen_t size = sizeof maker;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0) return -1;
    return maker.pid;
}

}  // namespace

void Supervisor::worker_ended(pid_t pid, int wait_status) {
    auto is_it = [&](const auto& entry) { return entry->child.pid() == pid; };
    auto found = std::ranges::find_if(workers_, [&](auto& w) { return is_it(w.entry); });
    if (found != workers_.end()) {
        bool asleep = found->going_to_sleep && wait_status == 0;
        if (asleep) {
            sleepers_.add(found->account, std::move(found->rested));
            if (stopping_) sleepers_.end_all("server is shutting down");
        } else
            log::error("account worker ended", {{"process", found->entry->child.name()},
                                                {"account", found->account},
                                                {"how", how_it_ended(wait_status)}});
        // One that dies at once must not be started over and over.
        bool early = found->account.empty();
        found->entry->child.ended();
        gone_.push_back(std::move(found->entry));
        workers_.erase(found);
        worker_failures_ = early ? worker_failures_ + 1 : 0;
    } else if (auto retired = std::ranges::find_if(gone_, is_it); retired != gone_.end()) {
        (*retired)->child.ended();
    }
    std::erase_if(gone_, [](const auto& e) { return !e->child.running() && e->child.link().channel() == nullptr; });
    changed_.notify_all();
}

Supervisor::Worker* Supervisor::worker_of(const std::string& account) {
    auto found = std::ranges::find(workers_, account, &Worker::account);
    return found == workers_.end() ? nullptr : &*found;
}

void Supervisor::ensure_blank_worker() {
    if (stopping_ || worker_of("") != nullptr || workers_.size() + gone_.size() >= kMaxWorkers || worker_failures_ > 5)
        return;
    workers_.push_back({make_entry(Role::imapd_worker, fmt::format("imapd-worker/{}", next_worker_++)), "", 0});
    if (!launch(*workers_.back().entry)) workers_.pop_back();
}

Supervisor::Worker* Supervisor::worker_of(const Child& child) {
    auto found = std::ranges::find_if(workers_, [&](auto& w) { return &w.entry->child == &child; });
    return found == workers_.end() ? nullptr : &*found;
}

// The account's worker, or a blank one that becomes it; nothing when there are too many.
Supervisor::Worker* Supervisor::claim_worker(const std::string& account) {
    Worker* worker = worker_of(account);
    if (worker != nullptr) return worker;
    worker_failures_ = 0;
    ensure_blank_worker();
    worker = worker_of("");
    if (worker == nullptr) return nullptr;
    worker->account = account;
    worker->claimed = async::Clock::now();
    return worker;
}

// The worker takes its account first. Only then the sessions that slept are given to it: one that does not start, or is
// dead already, must not take them along. Messages on a channel stay in order, so those that come later find them
// there.
async::Task<Result<ipc::Done>> Supervisor::begin_work(std::string account) {
    Worker* worker = worker_of(account);
    try {
        auto deadline = async::in(kConfigureLimit);
        for (; worker != nullptr && worker->configuring; worker = worker_of(account)) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        worker = nullptr;
    }
    if (worker == nullptr) co_return temporary(ErrorCode::unavailable, "the account's worker does not start");
    if (worker->entry->child.ready) co_return ipc::Done{};
    worker->configuring = true;
    auto channel = worker->entry->child.channel();
    auto message = for_imapd_worker(settings_, account);
    message.log = log_config();
    auto configured = co_await channel->call(std::move(message), async::in(kConfigureLimit));
    worker = worker_of(account);  // the list may have moved
    if (worker == nullptr || worker->entry->child.channel() != channel)
        co_return temporary(ErrorCode::unavailable, "the account's worker ended");
    worker->configuring = false;
    changed_.notify_all();
    if (!configured) {
        worker->entry->child.kill(SIGKILL);
        co_return configured;
    }
    worker->entry->child.ready = true;
    if (auto rested = sleepers_.take(account)) {
        channel->send(proto::WakeUp{std::move(rested->account_channel)});
        for (auto& session : rested->sessions)
            channel->send(proto::ResumeSession{std::move(session.state), std::move(session.stream),
                                               std::move(session.hand_back)});
    }
    ensure_blank_worker();
    co_return ipc::Done{};
}

async::Task<Result<ipc::Done>> Supervisor::start_session(proto::StartSession session) {
    const auto& accounts = settings_.domains.accounts;
    bool known = std::ranges::find(accounts, session.account, &config::Account::name) != accounts.end();
    if (!known || session.tag.size() + session.pending_input.size() + session.login.size() > kMaxGreeting ||
        !session.stream || !session.account_channel)
        co_return permanent(ErrorCode::bad_request, "not a session of an account here");
    // The capability must come from storaged itself: a front could otherwise make a pair of its own that claims to be
    // any account's.
    Child& storaged = child_of(Role::storaged);
    if (!storaged.running() || maker_of(session.account_channel) != storaged.pid())
        co_return permanent(ErrorCode::denied, "the account channel is not of storaged's making");
    // One that goes to sleep takes no session any more; the next one takes this and those.
    try {
        auto deadline = async::in(kFallAsleepLimit);
        for (Worker* w = worker_of(session.account); w != nullptr && w->going_to_sleep; w = worker_of(session.account))
            co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        co_return temporary(ErrorCode::busy, "the account's worker does not end");
    }
    Worker* worker = claim_worker(session.account);
    if (worker == nullptr) co_return temporary(ErrorCode::busy, "too many account workers");
    auto channel = worker->entry->child.channel();
    // Counted until the worker has it, whatever becomes of this task: meanwhile the worker may not retire.
    struct Coming {
        Supervisor& supervisor;
        std::shared_ptr<ipc::Channel> channel;
        ~Coming() {
            for (Worker& w : supervisor.workers_)
                if (w.entry->child.channel() == channel) w.sessions_coming--;
        }
    } coming{*this, channel};
    worker->sessions_coming++;
    if (auto begun = co_await begin_work(session.account); !begun) co_return begun;
    co_return co_await channel->call(proto::NewSession{std::move(session)}, async::in(10s));
}

void Supervisor::rest_session(Child& child, proto::RestSession session) {
    Worker* worker = worker_of(child);
    if (worker == nullptr || worker->account.empty() || worker->going_to_sleep) return;
    worker->rested.sessions.push_back(std::move(session));
    const auto& told = worker->rested.sessions;
    bool fits = told.back().stream && told.back().state.size() <= proto::kMaxRestedState &&
                told.size() <= proto::kMaxRestedSessions && worker->rested.bytes() <= kMaxAsleepOfAccount;
    // What is too much is dropped, all of it, and the count that comes does not match.
    if (!fits || !has_room()) worker->rested = {};
}

// With what workers have told so far: that too is kept here.
bool Supervisor::has_room() const {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    constexpr uint64_t kFilesOfSession = 2;
    uint64_t bytes = sleepers_.bytes();
    uint64_t files = kFilesOfSession * sleepers_.sessions() + sleepers_.accounts();
    for (const Worker& worker : workers_) {
        if (worker.rested.sessions.empty()) continue;
        bytes += worker.rested.bytes();
        files += kFilesOfSession * worker.rested.sessions.size() + 1;
    }
    return bytes <= kMaxAsleep && files + kOtherFiles <= limit.rlim_cur;
}

Result<ipc::Done> Supervisor::let_sleep(Child& child, proto::Sleep sleep) {
    Worker* worker = worker_of(child);
    if (worker == nullptr || worker->account.empty() || worker->going_to_sleep)
        return permanent(ErrorCode::bad_request, "not the worker of an account");
    Rested rested = std::exchange(worker->rested, {});
    if (rested.sessions.empty() || rested.sessions.size() != sleep.sessions || !sleep.account_channel)
        return permanent(ErrorCode::bad_request, "not all of it was told");
    Child& storaged = child_of(Role::storaged);
    if (!storaged.running() || maker_of(sleep.account_channel) != storaged.pid())
        return permanent(ErrorCode::denied, "the account channel is not of storaged's making");
    // A worker that another has taken over must not have its successors started over and over.
    auto shortest = std::min<async::Clock::duration>(settings_.config.imap.sleep_after, kShortestWork);
    bool too_soon = async::Clock::now() - worker->claimed < shortest;
    if (worker->sessions_coming > 0 || stopping_ || too_soon) return temporary(ErrorCode::busy, "not now");
    rested.account_channel = std::move(sleep.account_channel);
    rested.wake_at = async::in(std::clamp<std::chrono::seconds>(sleep.wake_after, kShortestSleep, 24h));
    worker->rested = std::move(rested);
    worker->going_to_sleep = true;
    scope_.spawn(end_granted(child.pid()));
    return ipc::Done{};
}

// It was to end, or to say that it stays. While it does neither its account has no worker.
async::Task<void> Supervisor::end_granted(pid_t pid) {
    co_await async::sleep_for(kFallAsleepLimit);
    for (Worker& worker : workers_)
        if (worker.going_to_sleep && worker.entry->child.pid() == pid) worker.entry->child.kill(SIGKILL);
}

void Supervisor::stay_awake(Child& child) {
    Worker* worker = worker_of(child);
    if (worker == nullptr) return;
    worker->going_to_sleep = false;
    worker->rested = {};
    changed_.notify_all();
}

void Supervisor::wake(const std::string& account) {
    to_wake_.push_back(account);
    if (waking_ >= kMaxWaking) return;
    waking_++;
    scope_.spawn(wake_some());
}

// Some at a time: mail for everybody must not start a process for everybody at once.
async::Task<void> Supervisor::wake_some() {
    struct Leaving {
        size_t& count;
        ~Leaving() { count--; }
    } leaving{waking_};
    co_await async::Yield();
    while (!to_wake_.empty() && !stopping_) {
        std::string account = std::move(to_wake_.front());
        to_wake_.pop_front();
        co_await wake_one(std::move(account));
        co_await async::Yield();
    }
}

async::Task<void> Supervisor::wake_one(std::string account) {
    auto limit = async::in(kWakeLimit);
    while (!stopping_ && sleepers_.has(account)) {
        if (claim_worker(account) != nullptr && co_await begin_work(account)) co_return;
        if (async::Clock::now() >= limit) {
            log::error("an account cannot be woken", {{"account", account}});
            sleepers_.end(account, "[UNAVAILABLE] the mail of this account cannot be served at the moment");
            co_return;
        }
        co_await async::sleep_for(kWakeAgain);
    }
}

Result<ipc::Done> Supervisor::retire(Child& child) {
    Worker* worker = worker_of(child);
    if (worker == nullptr) return ipc::Done{};
    if (worker->sessions_coming > 0) return temporary(ErrorCode::busy, "a session is on its way");
    scope_.spawn(kill_later(child.pid()));
    gone_.push_back(std::move(worker->entry));
    std::erase_if(workers_, [](const Worker& w) { return w.entry == nullptr; });
    return ipc::Done{};
}

}  // namespace mox::moxd
