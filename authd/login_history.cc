#include "authd/login_history.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/log/log.h"
#include "common/mail/utf8.h"

namespace mox::authd {
namespace {

using namespace std::chrono_literals;
using proto::LoginAttempt;
using proto::LoginResult;

constexpr auto kGather = 1s;
constexpr auto kStorageLimit = 30s;
constexpr auto kLastWords = 2s;

std::string key_of(const LoginAttempt& attempt) {
    std::string key;
    for (const std::string* text : {&attempt.account, &attempt.login, &attempt.remote_address, &attempt.client})
        key += *text + '\0';
    for (auto number : {std::to_underlying(attempt.protocol), std::to_underlying(attempt.tls),
                        std::to_underlying(attempt.mechanism), std::to_underlying(attempt.result)})
        key += static_cast<char>(number);
    return key;
}

/// What a client says it is, for people to read.
std::string cleaned(std::string_view text) {
    std::string clean = mail::repair_utf8(text.substr(0, 2 * proto::kMaxLoginClient));
    for (char& c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return std::string(mail::cut_utf8(clean, proto::kMaxLoginClient));
}

}  // namespace

LoginHistory::LoginHistory(const Directory& directory, ipc::Link& storage) : directory_(directory), storage_(storage) {
    scope_.spawn(send_regularly());
}

void LoginHistory::note(const proto::LoginContext& context, std::string_view login, LoginResult result,
                        std::string_view account, std::optional<int64_t> when) {
    LoginAttempt attempt;
    attempt.account = account.empty() ? directory_.account_of_login(login).value_or("") : std::string(account);
    if (login.size() <= proto::kMaxLoginName && directory_.is_of_domain(login)) attempt.login = login;
    attempt.remote_address = context.remote_address;
    attempt.protocol = context.protocol;
    attempt.tls = context.tls;
    attempt.mechanism = context.mechanism;
    attempt.client = cleaned(context.client);
    attempt.result = result;
    attempt.first = attempt.last = when.value_or(std::time(nullptr));
    attempt.count = 1;
    merge(std::move(attempt));
    came_.notify_all();
}

void LoginHistory::merge(LoginAttempt attempt) {
    std::string key = key_of(attempt);
    auto found = waiting_.find(key);
    if (found != waiting_.end()) {
        LoginAttempt& known = found->second;
        known.first = std::min(known.first, attempt.first);
        known.last = std::max(known.last, attempt.last);
        known.count += attempt.count;
    } else if (waiting_.size() < (attempt.result == LoginResult::ok ? 2 * kMaxWaiting : kMaxWaiting)) {
        waiting_.emplace(std::move(key), std::move(attempt));
    } else {
        left_out_ += attempt.count;
    }
}

std::vector<LoginAttempt> LoginHistory::take() {
    std::vector<LoginAttempt> some;
    while (!waiting_.empty() && some.size() < proto::kMaxLoginsAtOnce) {
        some.push_back(std::move(waiting_.begin()->second));
        waiting_.erase(waiting_.begin());
    }
    return some;
}

/// False when storaged says that it cannot: they wait for the next time.
async::Task<bool> LoginHistory::send_some() {
    while (storage_.channel() == nullptr) co_await storage_.attached().wait();
    auto some = take();
    if (some.empty()) co_return true;
    auto kept = co_await storage_.call(proto::NoteLogins{some}, kStorageLimit);
    if (kept) co_return true;
    log::warn("logins cannot be kept", {{"error", kept.error().text}});
    if (!kept.error().is_temporary()) co_return true;  // nor at any other time
    // Without an answer it may have been done, and would count twice.
    if (kept.error().code == ErrorCode::timeout || kept.error().code == ErrorCode::channel_lost) co_return true;
    for (auto& attempt : some) merge(std::move(attempt));
    co_return false;
}

async::Task<void> LoginHistory::send_regularly() {
    constexpr auto kAgain = 10s;  // after a failure
    for (;;) {
        while (waiting_.empty()) co_await came_.wait();
        co_await async::sleep_for(kGather);
        for (bool more = true; more;) {
            more = waiting_.size() >= proto::kMaxLoginsAtOnce;
            if (co_await send_some()) continue;
            co_await async::sleep_for(kAgain);
            more = true;
        }
    }
}

async::Task<void> LoginHistory::flush() {
    async::Deadline limit = async::in(kLastWords);
    while (!waiting_.empty() && async::Clock::now() < limit) {
        auto left = limit - async::Clock::now();
        if (!co_await storage_.call(proto::NoteLogins{take()}, left)) co_return;
    }
}

}  // namespace mox::authd
