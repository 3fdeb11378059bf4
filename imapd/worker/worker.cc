#include "imapd/worker/worker.h"

#include <algorithm>
#include <sys/socket.h>

#include "common/log/log.h"

namespace mox::imapd {
namespace {

constexpr std::chrono::seconds kLinger{30};  // without a session, before the worker asks to end
constexpr std::chrono::seconds kRetireLimit{10};
constexpr std::chrono::seconds kSleepLimit{10};
constexpr std::chrono::milliseconds kFirstPause{250};  // between looks whether all rest
constexpr std::chrono::minutes kLongestPause{10};
constexpr std::chrono::milliseconds kGoodbye{2500};  // for the sessions to say BYE at shutdown

// Ends a session that has not begun. At rest nothing is half said, so an untagged answer is in its place.
void dismiss(const Fd& stream, std::string_view text) {
    std::string bye = fmt::format("* BYE {}\r\n", text);
    (void)send(stream.get(), bye.data(), bye.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Result<proto::Done> Worker::on(proto::ConfigureImapdWorker message) {
    process().apply(message.log);
    if (account_ != nullptr && account_->name() != message.account)
        return permanent(ErrorCode::bad_request, "this worker serves another account");
    if (account_ == nullptr) {
        account_ = std::make_unique<Account>(message.account);
        scope_.spawn(sleep_when_all_rest());
        scope_.spawn(retire_when_idle(generation_));  // who it was started for may be gone
    }
    sleep_after_ = std::max(message.sleep_after, std::chrono::seconds(1));
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
    begin(std::make_unique<Session>(*account_, std::move(start), counters_));
    co_return proto::Done{};
}

async::Task<Result<proto::Done>> Worker::on(proto::WakeUp message) {
    if (account_ == nullptr || account_->connected() || arriving_ > 0 || !sessions_.empty()) {
        log::error("woken without having slept");
        co_return permanent(ErrorCode::bad_request, "did not sleep");
    }
    arriving_++;
    auto resumed = co_await account_->resume(std::move(message.account_channel));
    arriving_--;
    if (!resumed) log::error("sessions at rest cannot go on", {{"reason", resumed.error().text}});
    // Unless those that slept come now.
    scope_.spawn(retire_when_idle(generation_));
    co_return resumed;
}

void Worker::on(proto::ResumeSession message) {
    if (account_ == nullptr || sessions_.size() >= proto::kMaxRestedSessions) return;
    auto rested = parse_rested(message.state);
    if (!rested) {
        log::error("a session at rest cannot be read", {{"reason", rested.error().text}});
        dismiss(message.stream, "[SERVERBUG] the session cannot go on; connect again");
        return;
    }
    auto session = std::make_unique<Session>(*account_, std::move(*rested), std::move(message.stream),
                                             std::move(message.hand_back), counters_);
    Session* begun = session.get();
    begin(std::move(session));
    // Lost before this session was there to be told.
    if (!account_->connected() && sessions_.contains(begun))
        begun->terminate("[UNAVAILABLE] the mail storage went away; connect again");
}

void Worker::begin(std::unique_ptr<Session> session) {
    generation_++;
    sessions_.insert(session.get());
    scope_.spawn(serve(std::move(session)));
}

std::optional<async::Clock::time_point> Worker::resting_since() const {
    if (sessions_.empty() || arriving_ > 0 || ending_) return std::nullopt;
    async::Clock::time_point latest{};
    for (const auto* session : sessions_) {
        auto since = session->resting_since();
        if (!since) return std::nullopt;
        latest = std::max(latest, *since);
    }
    return latest;
}

uint64_t Worker::compressed_received() const {
    uint64_t sum = 0;
    for (auto* session : sessions_) sum += session->compressed_received();
    return sum;
}

async::Task<void> Worker::sleep_when_all_rest() {
    async::Clock::duration pause = kFirstPause;
    for (;;) {
        co_await async::sleep_for(std::max<async::Clock::duration>(sleep_after_ / 4, pause));
        auto since = resting_since();
        if (!since || async::Clock::now() - *since < sleep_after_) continue;
        co_await fall_asleep();
        // It did not come to that. To tell all again costs something, and so it does moxd.
        pause = std::min<async::Clock::duration>(pause * 2, kLongestPause);
    }
}

// Tells moxd of all sessions; false when that cannot be done.
bool Worker::give_to_sleep(proto::Sleep& sleep) {
    if (sessions_.size() > proto::kMaxRestedSessions) return false;
    std::vector<proto::RestSession> resting;
    std::chrono::milliseconds now =
        std::chrono::floor<std::chrono::milliseconds>(async::Clock::now().time_since_epoch());
    std::chrono::milliseconds left = std::chrono::hours(24);
    for (auto* session : sessions_) {
        auto rested = session->rest();
        if (!rested) return false;
        left = std::min(left, rested->autologout - now);
        auto form = session->is_compressed() ? proto::StreamForm::deflate : proto::StreamForm::plain;
        resting.push_back({ipc::encode(*rested), session->duplicate_stream(), session->duplicate_hand_back(), form});
        bool whole = resting.back().stream && (resting.back().hand_back || session->reuse() == Reuse::refused);
        if (!whole || resting.back().state.size() > proto::kMaxRestedState) return false;
    }
    sleep.wake_after = std::chrono::ceil<std::chrono::seconds>(left);
    sleep.account_channel = account_->duplicate_channel();
    sleep.sessions = static_cast<uint32_t>(resting.size());
    if (!sleep.account_channel) return false;
    for (auto& session : resting) process().parent().send(std::move(session));
    return true;
}

// Between what moxd is told and the end of this process nothing may happen here: else it was told what is not true.
async::Task<void> Worker::fall_asleep() {
    proto::Sleep sleep{};
    auto state = [&] { return std::tuple(resting_since(), generation_, account_->events(), compressed_received()); };
    auto before = state();
    if (!give_to_sleep(sleep)) co_return;
    auto asleep = co_await process().parent().call(std::move(sleep), async::in(kSleepLimit));
    bool same = before == state() && account_->duplicate_channel();
    if (asleep && same) {
        log::debug("all sessions rest: sleeping", {{"account", account_->name()}, {"sessions", sessions_.size()}});
        std::_Exit(0);  // in order, Channel and Stream would shut down the sockets that moxd keeps copies of
    }
    process().parent().send(proto::StayAwake{});
}

async::Task<void> Worker::serve(std::unique_ptr<Session> session) {
    co_await session->run();
    generation_++;  // also for who looks whether anything has happened meanwhile
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
    ending_ = true;
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
