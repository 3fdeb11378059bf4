#include "moxd/sleepers.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "common/log/log.h"

namespace mox::moxd {
namespace {

constexpr size_t kMaxRestedOfAccount = 4u << 20;  // bytes of states
constexpr std::chrono::seconds kShortestSleep{1};
constexpr std::chrono::hours kLongestSleep{24};

// Whether a descriptor that can be read has come to its end.
bool at_end(int fd) {
    char byte = 0;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// A DEFLATE block that is not compressed (RFC 1951 3.2.4); the peer stands at the beginning of a byte.
std::string stored_block(std::string_view text) {
    auto size = static_cast<uint16_t>(std::min<size_t>(text.size(), UINT16_MAX));
    std::string block(1, '\0');
    for (unsigned number : {unsigned{size}, ~unsigned{size}}) {
        block += static_cast<char>(number & 0xff);
        block += static_cast<char>(number >> 8 & 0xff);
    }
    return block.append(text.substr(0, size));
}

}  // namespace

size_t Rested::bytes() const {
    size_t sum = 0;
    for (const auto& session : sessions) sum += session.state.size();
    return sum;
}

size_t Rested::files() const {
    size_t sum = 1;  // the account's channel
    for (const auto& session : sessions) sum += session.hand_back ? 2 : 1;
    return sum;
}

// At rest nothing is half said to a client: an untagged answer is in its place (RFC 3501 7.1.5).
void Rested::dismiss(std::string_view text) const {
    std::string bye = fmt::format("* BYE {}\r\n", text);
    for (const auto& session : sessions) {
        std::string bytes = session.form == proto::StreamForm::deflate ? stored_block(bye) : bye;
        (void)send(session.stream.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void Told::add(proto::RestSession session) {
    if (too_much_) return;
    bool fits = session.stream && session.state.size() <= proto::kMaxRestedState &&
                rested_.sessions.size() < proto::kMaxRestedSessions &&
                rested_.bytes() + session.state.size() <= kMaxRestedOfAccount;
    if (!fits) return drop();
    rested_.sessions.push_back(std::move(session));
}

void Told::drop() {
    rested_ = {};
    too_much_ = true;
}

Result<Rested> Told::take(proto::Sleep sleep) {
    Told told = std::exchange(*this, {});
    if (told.too_much_ || told.rested_.sessions.empty() || told.rested_.sessions.size() != sleep.sessions ||
        !sleep.account_channel)
        return permanent(ErrorCode::bad_request, "not all of it was told");
    told.rested_.account_channel = std::move(sleep.account_channel);
    told.rested_.wake_at = async::in(std::clamp<std::chrono::seconds>(sleep.wake_after, kShortestSleep, kLongestSleep));
    return std::move(told.rested_);
}

struct Sleepers::Sleeper {
    std::string account;
    Rested rested;
    bool waking = false;
    async::Scope watches;
};

Sleepers::Sleepers(std::function<void(const std::string&)> wake) : wake_(std::move(wake)) {
    scope_.spawn(attend());
}

Sleepers::~Sleepers() {
    scope_.cancel();
}

void Sleepers::add(const std::string& account, Rested rested) {
    take(account);
    auto& sleeper = *(accounts_[account] = std::make_unique<Sleeper>(account, std::move(rested), false));
    sessions_ += sleeper.rested.sessions.size();
    bytes_ += sleeper.rested.bytes();
    files_ += sleeper.rested.files();
    sleeper.watches.spawn(watch(sleeper, sleeper.rested.account_channel.get()));
    for (const auto& session : sleeper.rested.sessions) sleeper.watches.spawn(watch(sleeper, session.stream.get()));
    sleeper.watches.spawn(watch_clock(sleeper));
}

std::optional<Rested> Sleepers::take(const std::string& account) {
    auto found = accounts_.find(account);
    if (found == accounts_.end()) return std::nullopt;
    Sleeper& sleeper = *found->second;
    sleeper.watches.cancel();  // before its descriptors go elsewhere
    Rested rested = std::move(sleeper.rested);
    sessions_ -= rested.sessions.size();
    bytes_ -= rested.bytes();
    files_ -= rested.files();
    accounts_.erase(found);
    return rested;
}

Fd Sleepers::duplicate_channel(const std::string& account) const {
    auto found = accounts_.find(account);
    return found == accounts_.end() ? Fd() : Fd(::dup(found->second->rested.account_channel.get()));
}

// The watches only say what they saw: a task must not end the scope that it is in.
async::Task<void> Sleepers::watch(Sleeper& sleeper, int fd) {
    co_await async::readable(fd, async::kNever);
    fired_.push_back({sleeper.account, fd});
    fired_event_.notify_all();
}

async::Task<void> Sleepers::watch_clock(Sleeper& sleeper) {
    co_await async::sleep_for(sleeper.rested.wake_at - async::Clock::now());
    fired_.push_back({sleeper.account, -1});
    fired_event_.notify_all();
}

async::Task<void> Sleepers::attend() {
    for (;;) {
        while (!fired_.empty()) {
            Fired fired = std::move(fired_.front());
            fired_.pop_front();
            try {
                look(fired);
            } catch (const std::exception& problem) {
                log::error("a sleeping account was not looked at",
                           {{"account", fired.account}, {"error", problem.what()}});
            }
        }
        co_await fired_event_.wait();
    }
}

void Sleepers::look(const Fired& fired) {
    auto found = accounts_.find(fired.account);
    if (found == accounts_.end()) return;  // woken already
    Sleeper& sleeper = *found->second;
    bool over = fired.fd >= 0 && at_end(fired.fd);
    if (!over) {
        if (!std::exchange(sleeper.waking, true)) wake_(fired.account);
    } else if (fired.fd == sleeper.rested.account_channel.get()) {
        end(fired.account, "[UNAVAILABLE] the mail storage went away; connect again");
    } else {
        client_gone(sleeper, fired.fd);
    }
}

void Sleepers::client_gone(Sleeper& sleeper, int fd) {
    auto& sessions = sleeper.rested.sessions;
    auto found = std::ranges::find_if(sessions, [&](const auto& session) { return session.stream.get() == fd; });
    if (found == sessions.end()) return;
    sessions_--;
    bytes_ -= found->state.size();
    files_ -= found->hand_back ? 2 : 1;
    sessions.erase(found);
    if (sessions.empty()) take(std::string(sleeper.account));
}

void Sleepers::end(const std::string& account, std::string_view text) {
    if (auto rested = take(account)) rested->dismiss(text);
}

void Sleepers::end_all(std::string_view text) {
    while (!accounts_.empty()) end(std::string(accounts_.begin()->first), text);
}

}  // namespace mox::moxd
