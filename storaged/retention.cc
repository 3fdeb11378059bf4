#include "storaged/retention.h"

#include <ctime>
#include <filesystem>

#include "common/log/log.h"
#include "common/text/ascii.h"

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr auto kStart = 5s;     // after a start or a new configuration: others come first
constexpr auto kEvery = 600s;   // then so often
constexpr auto kBetween = 5ms;  // accounts

/// The time in "NAME.TIME" or "NAME.TIME.N"; nothing when it is not such a name.
std::optional<int64_t> time_removed(const std::string& name) {
    for (size_t end = name.size(), parts = 0; parts < 2; parts++) {
        size_t dot = name.rfind('.', end - 1);
        if (dot == std::string::npos || dot == 0) return std::nullopt;
        auto number = text::parse_number<uint64_t>(std::string_view(name).substr(dot + 1, end - dot - 1));
        if (!number) return std::nullopt;
        constexpr uint64_t kEarliest = 1'000'000'000;
        if (*number >= kEarliest) return static_cast<int64_t>(*number);
        end = dot;
    }
    return std::nullopt;
}

}  // namespace

void delete_removed(std::chrono::seconds keep, int64_t now) {
    std::error_code error;
    std::vector<std::filesystem::path> old;
    for (const auto& entry : std::filesystem::directory_iterator("removed", error)) {
        auto time = time_removed(entry.path().filename());
        if (time && *time + keep.count() < now) old.push_back(entry.path());
    }
    for (const auto& path : old) {
        std::filesystem::remove_all(path, error);
        log::info("deleted an account that was removed long ago", {{"directory", path.string()}});
    }
}

Retention::Retention(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> logins)
    : engine_(engine), accounts_(accounts), logins_(std::move(logins)) {
    scope_.spawn(run());
}

void Retention::configure(const proto::ConfigureStoraged& config) {
    engine_.counters.quota = config.quota;
    keep_removed_ = std::chrono::seconds(config.keep_removed);
    count_use_ = config.quota != 0;
    static_cast<LoginStore&>(logins_->store()).set_limits(config.keep_logins, config.max_failed_logins);
    configured_.notify_all();
}

async::Task<void> Retention::run() {
    for (auto pause = async::Clock::duration(kEvery);; pause = kEvery) {
        try {
            co_await configured_.wait(async::in(pause));
            co_await async::sleep_for(kStart);
        } catch (const async::DeadlinePassed&) {
        }
        co_await look_at_accounts();
        co_await accounts_.end_disabled_web_sessions();
        co_await accounts_.drop_ended_web_sessions();
        co_await trim_logins();
        if (keep_removed_ > 0s)
            co_await engine_.pool.run([keep = keep_removed_] {
                delete_removed(keep, std::time(nullptr));
                return 0;
            });
    }
}

async::Task<void> Retention::look_at_accounts() {
    for (const auto& account : accounts_.all()) {
        bool due = !account->expiries().empty() && std::time(nullptr) >= account->next_expiry();
        if (due) {
            co_await expire(account);
        } else if (count_use_ && !account->was_opened()) {
            // Its use counts once it is open.
            Account::Use use(account);
            accounts_.make_room();
            co_await account->run(Access::read, [](MailStore&) -> Result<proto::Done> { return proto::Done{}; });
        } else {
            continue;
        }
        co_await async::sleep_for(kBetween);
    }
}

async::Task<void> Retention::trim_logins() {
    for (bool more = true; more;) {
        auto work = [](LoginStore& store) { return store.trim(std::time(nullptr)); };
        auto trimmed = co_await logins_->run<LoginStore>(Access::write, work);
        more = trimmed.value_or(false);  // why it failed is in the log; tried again next time
        if (more) co_await async::sleep_for(kBetween);
    }
}

async::Task<void> Retention::expire(std::shared_ptr<Account> account) {
    Account::Use use(account);
    accounts_.make_room();
    for (bool more = true; more;) {
        auto work = [expiries = account->expiries()](MailStore& store) {
            return store.expire(expiries, std::time(nullptr));
        };
        auto expired = co_await account->run(Access::write, std::move(work));
        if (!expired) co_return;  // logged where it failed; tried again next time
        more = expired->more;
        account->set_next_expiry(expired->next_due);
        engine_.counters.expired += expired->messages;
        if (expired->messages > 0)
            log::info("messages expired", {{"account", account->name()}, {"messages", expired->messages}});
    }
}

}  // namespace mox::storaged
