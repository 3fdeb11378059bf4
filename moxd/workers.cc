// The account workers: one for each account that has sessions, and a blank one that waits ready.
#include <algorithm>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/log/log.h"
#include "moxd/entry.h"
#include "moxd/process_info.h"

namespace mox::moxd {

using ipc::Role;
using namespace std::chrono_literals;

namespace {

constexpr size_t kMaxWorkers = 5000;
constexpr size_t kMaxGreeting = 64 * 1024;  // bytes of text in a session handed over
constexpr size_t kMaxAsleep = 64u << 20;    // bytes of the states of all sessions that sleep
constexpr uint64_t kOtherFiles = 10'000;    // descriptors that are not for those
constexpr auto kWakeAgain = 1s;             // when there are too many workers
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
        if (asleep)
            sleepers_.add(found->account, std::move(found->rested));
        else
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
    if (worker != nullptr) worker->account = account;
    return worker;
}

// The worker takes its account first, then the sessions that slept: messages on a channel stay in order.
async::Task<Result<ipc::Done>> Supervisor::begin_work(Worker& worker) {
    Child& child = worker.entry->child;
    if (child.ready) co_return ipc::Done{};
    child.ready = true;
    auto channel = child.channel();
    auto message = for_imapd_worker(settings_, worker.account);
    message.log = log_config();
    auto configured = channel->call(std::move(message), async::in(5s));
    if (auto rested = sleepers_.take(worker.account)) {
        channel->send(proto::WakeUp{std::move(rested->account_channel)});
        for (auto& session : rested->sessions)
            channel->send(proto::ResumeSession{std::move(session.state), std::move(session.stream),
                                               std::move(session.hand_back)});
    }
    ensure_blank_worker();
    co_return co_await std::move(configured);
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
    if (auto begun = co_await begin_work(*worker); !begun) co_return begun;
    co_return co_await channel->call(proto::NewSession{std::move(session)}, async::in(10s));
}

void Supervisor::rest_session(Child& child, proto::RestSession session) {
    Worker* worker = worker_of(child);
    // What is too much is left out, and the count does not match.
    if (worker == nullptr || worker->going_to_sleep || !session.stream ||
        session.state.size() > proto::kMaxRestedState || worker->rested.sessions.size() >= proto::kMaxRestedSessions)
        return;
    worker->rested.sessions.push_back(std::move(session));
}

bool Supervisor::has_room(const Rested& rested, const Sleepers& sleepers) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    constexpr uint64_t kFilesOfSession = 2;
    uint64_t files = kFilesOfSession * (sleepers.sessions() + rested.sessions.size()) + sleepers.accounts() + 1;
    return sleepers.bytes() + rested.bytes() <= kMaxAsleep && files + kOtherFiles <= limit.rlim_cur;
}

Result<ipc::Done> Supervisor::let_sleep(Child& child, proto::Sleep sleep) {
    Worker* worker = worker_of(child);
    if (worker == nullptr || worker->account.empty() || worker->going_to_sleep)
        return permanent(ErrorCode::bad_request, "not the worker of an account");
    Rested rested = std::exchange(worker->rested, {});
    if (rested.sessions.empty() || rested.sessions.size() != sleep.sessions || !sleep.account_channel)
        return permanent(ErrorCode::bad_request, "not all of it was told");
    if (maker_of(sleep.account_channel) != child_of(Role::storaged).pid())
        return permanent(ErrorCode::denied, "the account channel is not of storaged's making");
    if (worker->sessions_coming > 0 || stopping_ || !has_room(rested, sleepers_))
        return temporary(ErrorCode::busy, "not now");
    rested.account_channel = std::move(sleep.account_channel);
    rested.wake_at = async::in(std::clamp<std::chrono::seconds>(sleep.wake_after, 0s, 24h));
    worker->rested = std::move(rested);
    worker->going_to_sleep = true;
    return ipc::Done{};
}

void Supervisor::stay_awake(Child& child) {
    Worker* worker = worker_of(child);
    if (worker == nullptr) return;
    worker->going_to_sleep = false;
    worker->rested = {};
    changed_.notify_all();
}

async::Task<void> Supervisor::wake(std::string account) {
    while (!stopping_ && sleepers_.has(account)) {
        if (Worker* worker = claim_worker(account)) {
            (void)co_await begin_work(*worker);
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
