// The account workers: one for each account that has sessions, and a blank one that waits ready.
#include <algorithm>
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
        log::error(
            "account worker ended",
            {{"process", found->entry->child.name()}, {"account", found->account}, {"how", how_it_ended(wait_status)}});
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
    Worker* worker = worker_of(session.account);
    if (worker == nullptr) {
        worker_failures_ = 0;
        ensure_blank_worker();
        worker = worker_of("");
        if (worker == nullptr) co_return temporary(ErrorCode::busy, "too many account workers");
        worker->account = session.account;
    }
    bool is_new = !worker->entry->child.ready;
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
    // The worker takes its account first: messages on a channel stay in order.
    if (is_new) {
        worker->entry->child.ready = true;
        auto message = for_imapd_worker(settings_, session.account);
        message.log = log_config();
        auto configured = co_await channel->call(std::move(message), async::in(5s));
        if (!configured) co_return configured;
        ensure_blank_worker();
    }
    co_return co_await channel->call(proto::NewSession{std::move(session)}, async::in(10s));
}

Result<ipc::Done> Supervisor::retire(Child& child) {
    auto found = std::ranges::find_if(workers_, [&](auto& w) { return &w.entry->child == &child; });
    if (found == workers_.end()) return ipc::Done{};
    if (found->sessions_coming > 0) return temporary(ErrorCode::busy, "a session is on its way");
    scope_.spawn(kill_later(child.pid()));
    gone_.push_back(std::move(found->entry));
    workers_.erase(found);
    return ipc::Done{};
}

}  // namespace mox::moxd
