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
constexpr uint64_t kOtherFiles = 6000;      // descriptors that are not for those: channels of workers, and some more
constexpr size_t kMaxWaking = 16;           // accounts that are being woken at the same time
constexpr auto kBlankAfter = 1ms;
constexpr auto kWakeAgain = 1s;  // when there are too many workers
constexpr auto kWakeLimit = 60s;
constexpr auto kNewSessionLimit = 10s;
constexpr auto kStuckLimit = 10s;
constexpr auto kWakeUpLimit = 12s;   // a worker gives storaged 10 s to say whose the channel is
constexpr auto kShortestWork = 20s;  // or sleep-after, before a worker may sleep: an honest one asks no sooner
constexpr auto kFallAsleepLimit = 5s;
constexpr auto kGrantAgain = 200ms;  // an honest worker that stayed awake asks no sooner

constexpr std::string_view kLostText = "[UNAVAILABLE] the session cannot go on; connect again";

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
        // What it left is true when it ended as it was told to; else who knows what it has done since.
        bool asleep = found->granted && wait_status == 0;
        if (!asleep)
            log::error("account worker ended", {{"process", found->entry->child.name()},
                                                {"account", found->account},
                                                {"how", how_it_ended(wait_status)}});
        if (found->granted && (!asleep || stopping_))
            found->granted->dismiss(stopping_ ? "server is shutting down" : kLostText);
        else if (asleep)
            sleepers_.add(found->account, std::move(*found->granted));
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

// Who asked first may be gone before it is done: then it is done for those who ask next.
async::Task<Result<ipc::Done>> Supervisor::begin_work(std::string account) {
    Worker* worker = worker_of(account);
    if (worker != nullptr && !worker->begun) {
        worker->begun = true;
        scope_.spawn(configure_worker(worker->entry->child.channel(), account));
    }
    try {
        auto deadline = async::in(kConfigureLimit + kWakeUpLimit);
        for (; worker != nullptr && !worker->entry->child.ready; worker = worker_of(account))
            co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        worker = nullptr;
    }
    if (worker == nullptr) co_return temporary(ErrorCode::unavailable, "the account's worker does not start");
    co_return ipc::Done{};
}

// The worker takes its account first, and the channel of one that slept. Only then the sessions that slept are given to
// it: one that does not start, or is dead already, must not take them along. Messages on a channel stay in order, so
// those that come later find them there.
async::Task<void> Supervisor::configure_worker(std::shared_ptr<ipc::Channel> channel, std::string account) {
    auto message = for_imapd_worker(settings_, account);
    message.log = log_config();
    auto taken = co_await channel->call(std::move(message), async::in(kConfigureLimit));
    if (taken && sleepers_.has(account)) taken = co_await wake_worker(channel, account);
    Worker* worker = worker_of(account);
    if (worker == nullptr || worker->entry->child.channel() != channel) co_return;  // it ended, and that is logged
    if (!taken) {
        log::error("an account's worker does not start", {{"account", account}, {"reason", taken.error().text}});
        worker->entry->child.kill(SIGKILL);
        co_return;
    }
    worker->entry->child.ready = true;
    if (auto rested = sleepers_.take(account)) {
        for (auto& session : rested->sessions)
            channel->send(proto::ResumeSession{std::move(session.state), std::move(session.stream),
                                               std::move(session.hand_back)});
    }
    changed_.notify_all();
    scope_.spawn(make_blank_worker_soon());
}

// Who waits for the one that was there is served first: a start takes milliseconds when many descriptors are open.
async::Task<void> Supervisor::make_blank_worker_soon() {
    co_await async::sleep_for(kBlankAfter);
    ensure_blank_worker();
}

// When it does not take the channel nobody knows what was said on that: then the sessions are over.
async::Task<Result<ipc::Done>> Supervisor::wake_worker(std::shared_ptr<ipc::Channel> channel, std::string account) {
    Fd account_channel = sleepers_.duplicate_channel(account);
    if (!account_channel) co_return temporary(ErrorCode::busy, "no descriptor is left");
    auto woken = co_await channel->call(proto::WakeUp{std::move(account_channel)}, async::in(kWakeUpLimit));
    if (!woken) {
        log::error("an account does not wake", {{"account", account}, {"reason", woken.error().text}});
        sleepers_.end(account, kLostText);
    }
    co_return woken;
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
        for (Worker* w = worker_of(session.account); w != nullptr && w->granted; w = worker_of(session.account))
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
    std::string account = session.account;
    if (auto begun = co_await begin_work(account); !begun) co_return begun;
    auto begun = co_await channel->call(proto::NewSession{std::move(session)}, async::in(kNewSessionLimit));
    if (!begun && begun.error().code == ErrorCode::timeout) scope_.spawn(end_if_stuck(channel, account));
    co_return begun;
}

// That the storage is slow is not the worker's fault; but its configuration it takes at once.
async::Task<void> Supervisor::end_if_stuck(std::shared_ptr<ipc::Channel> channel, std::string account) {
    auto message = for_imapd_worker(settings_, account);
    message.log = log_config();
    auto answered = co_await channel->call(std::move(message), async::in(kStuckLimit));
    if (answered || answered.error().code != ErrorCode::timeout) co_return;
    log::error("an account's worker does not answer: killed", {{"account", account}});
    for (Worker& worker : workers_)
        if (worker.entry->child.channel() == channel) worker.entry->child.kill(SIGKILL);
}

// A front made it: nothing else that a worker may hold is kept and looked at here.
bool Supervisor::is_of_front(const Fd& socket) {
    pid_t maker = maker_of(socket);
    return std::ranges::any_of(children_, [&](const auto& entry) {
        return entry->child.spec().role == Role::imapd && entry->child.running() && entry->child.pid() == maker;
    });
}

void Supervisor::rest_session(Child& child, proto::RestSession session) {
    Worker* worker = worker_of(child);
    if (worker == nullptr || !child.ready || worker->granted) return;
    if (!is_of_front(session.stream) || (session.hand_back && !is_of_front(session.hand_back)))
        return worker->told.drop();
    worker->told.add(std::move(session));
    if (!has_room()) worker->told.drop();
}

// With what workers have told so far: that too is kept here.
bool Supervisor::has_room() const {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t bytes = sleepers_.bytes();
    uint64_t files = sleepers_.files();
    for (const Worker& worker : workers_) {
        const Rested& told = worker.granted ? *worker.granted : worker.told.rested();
        if (told.sessions.empty()) continue;
        bytes += told.bytes();
        files += told.files();
    }
    return bytes <= kMaxAsleep && files + kOtherFiles <= limit.rlim_cur;
}

Result<ipc::Done> Supervisor::let_sleep(Child& child, proto::Sleep sleep) {
    Worker* worker = worker_of(child);
    if (worker == nullptr || !child.ready || worker->granted)
        return permanent(ErrorCode::bad_request, "not the worker of an account");
    auto rested = worker->told.take(std::move(sleep));
    if (!rested) return std::unexpected(std::move(rested.error()));
    Child& storaged = child_of(Role::storaged);
    if (!storaged.running() || maker_of(rested->account_channel) != storaged.pid())
        return permanent(ErrorCode::denied, "the account channel is not of storaged's making");
    // A worker that another has taken over must not have its successors started over and over.
    auto now = async::Clock::now();
    auto shortest = std::min<async::Clock::duration>(settings_.config.imap.sleep_after, kShortestWork);
    bool too_soon = now - worker->claimed < shortest || now - worker->granted_at < kGrantAgain;
    if (worker->sessions_coming > 0 || stopping_ || too_soon) return temporary(ErrorCode::busy, "not now");
    worker->granted = std::move(*rested);
    worker->granted_at = now;
    scope_.spawn(end_granted(child.pid(), now));
    return ipc::Done{};
}

// It was to end, or to say that it stays. While it does neither its account has no worker.
async::Task<void> Supervisor::end_granted(pid_t pid, async::Clock::time_point granted_at) {
    co_await async::sleep_for(kFallAsleepLimit);
    for (Worker& worker : workers_)
        if (worker.granted && worker.granted_at == granted_at && worker.entry->child.pid() == pid)
            worker.entry->child.kill(SIGKILL);
}

void Supervisor::stay_awake(Child& child) {
    Worker* worker = worker_of(child);
    if (worker == nullptr) return;
    worker->granted.reset();
    worker->told.forget();
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
