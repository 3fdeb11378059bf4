#include "moxd/sleepers.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <sys/socket.h>
#include <utility>

#include "common/log/log.h"

namespace mox::moxd {
namespace {

// Whether a descriptor that can be read has come to its end.
bool at_end(int fd) {
    char byte = 0;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace

size_t Rested::bytes() const {
    size_t sum = 0;
    for (const auto& session : sessions) sum += session.state.size();
    return sum;
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
    auto& sleeper = *(accounts_[account] = std::make_unique<Sleeper>(account, std::move(rested), false));
    sessions_ += sleeper.rested.sessions.size();
    bytes_ += sleeper.rested.bytes();
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
    accounts_.erase(found);
    return rested;
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
    sessions.erase(found);
    if (sessions.empty()) take(std::string(sleeper.account));
}

void Sleepers::end(const std::string& account, std::string_view text) {
    auto rested = take(account);
    if (!rested) return;
    // At rest nothing is half said to a client: an untagged answer is in its place (RFC 3501 7.1.5).
    std::string bye = fmt::format("* BYE {}\r\n", text);
    for (const auto& session : rested->sessions)
        (void)send(session.stream.get(), bye.data(), bye.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Sleepers::end_all(std::string_view text) {
    while (!accounts_.empty()) end(std::string(accounts_.begin()->first), text);
}

}  // namespace mox::moxd
