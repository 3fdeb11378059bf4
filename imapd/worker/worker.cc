#include "imapd/worker/worker.h"

#include "common/log/log.h"

namespace mox::imapd {
namespace {

constexpr std::chrono::seconds kLinger{30};  // without a session, before the worker asks to end
constexpr std::chrono::seconds kRetireLimit{10};
constexpr std::chrono::milliseconds kGoodbye{2500};  // for the sessions to say BYE at shutdown

}  // namespace

Result<proto::Done> Worker::on(proto::ConfigureImapdWorker message) {
    process().apply(message.log);
    if (account_ != nullptr && account_->name() != message.account)
        return permanent(ErrorCode::bad_request, "this worker serves another account");
    if (account_ == nullptr) account_ = std::make_unique<Account>(message.account);
    return proto::Done{};
}

async::Task<Result<proto::Done>> Worker::on(proto::NewSession message) {
    auto& start = message.session;
    if (account_ == nullptr || start.account != account_->name()) {
        log::error("session for another account", {{"account", start.account}});
        co_return permanent(ErrorCode::denied, "wrong account");
    }
    generation_++;
    arriving_++;
    auto admitted = co_await account_->admit(std::move(start.account_channel));
    arriving_--;
    if (!admitted) {
        scope_.spawn(retire_when_idle(generation_));
        co_return std::unexpected(std::move(admitted.error()));
    }
    auto session = std::make_unique<Session>(*account_, std::move(start), counters_);
    sessions_.insert(session.get());
    scope_.spawn(serve(std::move(session)));
    co_return proto::Done{};
}

async::Task<void> Worker::serve(std::unique_ptr<Session> session) {
    co_await session->run();
    sessions_.erase(session.get());
    session.reset();
    if (sessions_.empty()) scope_.spawn(retire_when_idle(generation_));
}

async::Task<void> Worker::retire_when_idle(uint64_t generation) {
    co_await async::sleep_for(kLinger);
    if (!sessions_.empty() || arriving_ > 0 || generation != generation_) co_return;
    auto retired = co_await process().parent().call(proto::Retire{}, async::in(kRetireLimit));
    if (retired && sessions_.empty() && arriving_ == 0) {
        log::debug("no sessions left: ending", {{"account", account_->name()}});
        process().stop();
    } else if (sessions_.empty() && arriving_ == 0) {
        scope_.spawn(retire_when_idle(generation_));
    }
}

void Worker::shut_down() {
    for (auto* session : sessions_) session->terminate("server is shutting down");
    scope_.spawn(end_soon());
}

async::Task<void> Worker::end_soon() {
    async::Deadline deadline = async::in(kGoodbye);
    while (!sessions_.empty() && async::Clock::now() < deadline)
        co_await async::sleep_for(std::chrono::milliseconds(20));
    process().stop();
}

std::string Worker::metrics() {
    std::string out;
    for (const auto& [key, count] : counters_.commands)
        out +=
            fmt::format("mox_imap_commands_total{{command=\"{}\",result=\"{}\"}} {}\n", key.first, key.second, count);
    out += fmt::format("mox_imap_sessions_total {}\nmox_imap_sessions {}\n", counters_.sessions, sessions_.size());
    return out;
}

}  // namespace mox::imapd
