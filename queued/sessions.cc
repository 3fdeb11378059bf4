#include "queued/sessions.h"

#include <algorithm>

namespace mox::queued {
namespace {

async::Task<void> say_goodbye(std::unique_ptr<smtp::Client> client) {
    co_await client->quit();
}

}  // namespace

std::optional<OpenSession> Sessions::take(const Host& host) {
    // The one used last is the least likely to have been closed.
    auto found = std::ranges::find(kept_.rbegin(), kept_.rend(), host, &Kept::host);
    if (found == kept_.rend()) return std::nullopt;
    OpenSession session = std::move(found->session);
    kept_.erase(std::next(found).base());
    return session;
}

void Sessions::give(const Host& host, OpenSession session) {
    if (!session.client->usable() || session.messages >= kSessionMessages || async::Clock::now() >= session.until)
        return end(std::move(session));
    if (kept_.size() >= kMaxKeptSessions) {
        end(std::move(kept_.front().session));
        kept_.pop_front();
    }
    kept_.push_back({host, std::move(session), async::in(kSessionIdle)});
    if (!watching_) scope_.spawn(watch());
}

void Sessions::end_all() {
    for (auto& kept : kept_) end(std::move(kept.session));
    kept_.clear();
}

async::Task<void> Sessions::watch() {
    watching_ = true;
    while (!kept_.empty()) {
        co_await async::sleep_for(kept_.front().idle_until - async::Clock::now());
        while (!kept_.empty() && kept_.front().idle_until <= async::Clock::now()) {
            end(std::move(kept_.front().session));
            kept_.pop_front();
        }
    }
    watching_ = false;
}

void Sessions::end(OpenSession session) {
    scope_.spawn(say_goodbye(std::move(session.client)));
}

}  // namespace mox::queued
