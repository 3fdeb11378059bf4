#include "storaged/login_store.h"

#include <algorithm>
#include <utility>

#include "common/text/hash.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

constexpr uint64_t kTrimAfter = 2000;      // new rows
constexpr uint64_t kRemovedAtOnce = 5000;  // rows
constexpr uint64_t kMaxCount = 1u << 30;   // attempts that are told of at once

// Version n of the schema is what the first n texts make. Never change one that was released: add one.
constexpr const char* kVersion1 = R"(
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_file INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    clean_below INTEGER NOT NULL
);
CREATE TABLE erase (file INTEGER PRIMARY KEY);
CREATE TABLE login (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,              -- '': it leads to none
    login TEXT NOT NULL,
    remote_address TEXT NOT NULL,
    protocol INTEGER NOT NULL,          -- these are enums of proto/logins.h
    tls INTEGER NOT NULL,
    mechanism INTEGER NOT NULL,
    client TEXT NOT NULL,
    result INTEGER NOT NULL,            -- 0: ok
    first INTEGER NOT NULL,             -- Unix seconds
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    alike INTEGER NOT NULL              -- hash of the columns from account to result
);
CREATE INDEX login_last ON login (last);
CREATE INDEX login_of_account ON login (account, last);
CREATE INDEX login_failed ON login (account, last) WHERE result != 0;
CREATE INDEX login_alike ON login (alike, first);
)";

constexpr const char* kUpgrades[] = {kVersion1};

/// Of all that has to be alike. Strangers choose some of it, and must not find texts that fall together.
uint64_t hash_of(const proto::LoginAttempt& attempt) {
    std::string all;
    for (const std::string* text : {&attempt.account, &attempt.login, &attempt.remote_address, &attempt.client})
        all += *text + '\0';
    for (auto number : {std::to_underlying(attempt.protocol), std::to_underlying(attempt.tls),
                        std::to_underlying(attempt.mechanism), std::to_underlying(attempt.result)})
        all += static_cast<char>(number);
    return text::hash64(all);
}

template <class E>
E to_enum(uint32_t number) {
    return number < std::to_underlying(E::kEnd) ? static_cast<E>(number) : E{};
}

}  // namespace

std::optional<Error> check_logins(const std::vector<proto::LoginAttempt>& attempts) {
    auto is_good = [](const proto::LoginAttempt& a) {
        bool names = (a.account.empty() || is_account_name(a.account)) && is_ip_address(a.remote_address);
        bool texts = is_printable(a.login, proto::kMaxLoginName) && is_printable(a.client, proto::kMaxLoginClient);
        return names && texts && a.first >= 0 && a.first <= a.last && a.count > 0 && a.count <= kMaxCount;
    };
    if (attempts.size() <= proto::kMaxLoginsAtOnce && std::ranges::all_of(attempts, is_good)) return std::nullopt;
    return Error{Persistence::permanent, ErrorCode::bad_request, "logins that cannot be, or too many at once"};
}

LoginStore::LoginStore(Journal& journal, Counters& counters)
    : Store("logins.db", {"", ""}, kUpgrades, journal, counters) {}

void LoginStore::fill_new() {
    db().run("INSERT INTO state VALUES (1, 1, 0, 1)");
}

/// False when there is no row to share.
bool LoginStore::merge(const proto::LoginAttempt& attempt, uint64_t alike, int64_t first, int64_t last) {
    return db().run(
               "UPDATE login SET last = max(last, ?1), count = count + ?2 WHERE id = (SELECT id FROM login"
               " WHERE alike = ?12 AND first > ?11 AND account = ?3 AND remote_address = ?4 AND result = ?5"
               " AND login = ?6 AND protocol = ?7 AND tls = ?8 AND mechanism = ?9 AND client = ?10"
               " ORDER BY first DESC LIMIT 1)",
               last, attempt.count, attempt.account, attempt.remote_address, std::to_underlying(attempt.result),
               attempt.login, std::to_underlying(attempt.protocol), std::to_underlying(attempt.tls),
               std::to_underlying(attempt.mechanism), attempt.client, first - kSameLoginFor, alike) > 0;
}

Result<proto::Done> LoginStore::note(const std::vector<proto::LoginAttempt>& attempts, int64_t now) {
    for (const auto& a : attempts) {
        int64_t last = std::min(a.last, now);
        int64_t first = std::min(a.first, last);
        uint64_t alike = hash_of(a);
        if (merge(a, alike, first, last)) continue;
        db().run(
            "INSERT INTO login (account, login, remote_address, protocol, tls, mechanism, client, result, first, last,"
            " count, alike) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            a.account, a.login, a.remote_address, std::to_underlying(a.protocol), std::to_underlying(a.tls),
            std::to_underlying(a.mechanism), a.client, std::to_underlying(a.result), first, last, a.count, alike);
        added_++;
    }
    if (added_ < kTrimAfter) return proto::Done{};
    if (auto trimmed = trim(now); !trimmed) return std::unexpected(trimmed.error());
    return proto::Done{};
}

Result<proto::LoginHistory> LoginStore::list(const proto::ListLogins& request) {
    proto::LoginHistory history{{}, request.after};
    auto limit = std::min<size_t>(request.limit, proto::kMaxLoginsAtOnce);
    // Positions beyond all that can be mean the newest.
    int64_t number = static_cast<int64_t>(std::min<uint64_t>(request.after.number, INT64_MAX));
    // One statement for each index.
    constexpr const char* kOfAll =
        "SELECT id, account, login, remote_address, protocol, tls, mechanism, client, result, first, last, count"
        " FROM login WHERE (last, id) < (?1, ?2) AND (?3 = 0 OR result != 0) ORDER BY last DESC, id DESC LIMIT ?4";
    constexpr const char* kOfAccount =
        "SELECT id, account, login, remote_address, protocol, tls, mechanism, client, result, first, last, count"
        " FROM login WHERE account = ?5 AND (last, id) < (?1, ?2) AND (?3 = 0 OR result != 0)"
        " ORDER BY last DESC, id DESC LIMIT ?4";
    bool failed = request.wanted == proto::LoginsWanted::failed;
    auto rows = request.account ? db().query(kOfAccount, request.after.last, number, failed, limit, *request.account)
                                : db().query(kOfAll, request.after.last, number, failed, limit);
    while (rows.next()) {
        proto::LoginAttempt attempt;
        attempt.account = rows.bytes(1);
        attempt.login = rows.bytes(2);
        attempt.remote_address = rows.bytes(3);
        attempt.protocol = to_enum<proto::LoginProtocol>(rows.small(4));
        attempt.tls = to_enum<proto::LoginTls>(rows.small(5));
        attempt.mechanism = to_enum<proto::LoginMechanism>(rows.small(6));
        attempt.client = rows.bytes(7);
        attempt.result = to_enum<proto::LoginResult>(rows.small(8));
        attempt.first = rows.integer(9);
        attempt.last = rows.integer(10);
        attempt.count = rows.number(11);
        history.next = {attempt.last, rows.number(0)};
        history.attempts.push_back(std::move(attempt));
    }
    return history;
}

Result<bool> LoginStore::forget(const std::string& account) {
    if (account.empty()) return false;
    return db().run("DELETE FROM login WHERE id IN (SELECT id FROM login WHERE account = ? LIMIT ?)", account,
                    kRemovedAtOnce) > 0;
}

/// Of each account, and of those that lead to none, the oldest above its limits; how many.
int64_t LoginStore::trim_accounts() {
    uint64_t max_failed = max_failed_;
    std::vector<std::pair<std::string, uint64_t>> failed;
    std::vector<std::pair<std::string, uint64_t>> all;
    {
        auto rows = db().query(
            "SELECT account, count(*) FROM login WHERE result != 0 GROUP BY account HAVING count(*) > ?", max_failed);
        while (rows.next()) failed.emplace_back(rows.bytes(0), rows.number(1) - max_failed);
    }
    int64_t removed = 0;
    for (const auto& [account, count] : failed)
        removed += db().run(
            "DELETE FROM login WHERE id IN (SELECT id FROM login WHERE account = ? AND result != 0 ORDER BY last"
            " LIMIT ?)",
            account, std::min(count, kRemovedAtOnce));
    {
        auto rows =
            db().query("SELECT account, count(*) FROM login GROUP BY account HAVING count(*) > ?", 2 * max_failed);
        while (rows.next()) all.emplace_back(rows.bytes(0), rows.number(1) - 2 * max_failed);
    }
    for (const auto& [account, count] : all)
        removed +=
            db().run("DELETE FROM login WHERE id IN (SELECT id FROM login WHERE account = ? ORDER BY last LIMIT ?)",
                     account, std::min(count, kRemovedAtOnce));
    return removed;
}

Result<bool> LoginStore::trim(int64_t now) {
    added_ = 0;
    int64_t removed =
        db().run("DELETE FROM login WHERE id IN (SELECT id FROM login WHERE last < ? ORDER BY last LIMIT ?)",
                 now - keep_, kRemovedAtOnce);
    removed += trim_accounts();
    uint64_t rows = 0;
    {
        auto row = db().query("SELECT count(*) FROM login");
        if (row.next()) rows = row.number(0);
    }
    if (rows > kMaxLogins)
        removed += db().run("DELETE FROM login WHERE id IN (SELECT id FROM login ORDER BY last LIMIT ?)",
                            std::min(rows - kMaxLogins, kRemovedAtOnce));
    return removed > 0;
}

std::span<const Check> LoginStore::checks() const {
    static constexpr Check kChecks[] = {
        {"SELECT id FROM login WHERE first > last OR count < 1", "a login whose times cannot be"},
    };
    return kChecks;
}

const char* LoginStore::files_sql() const {
    return "SELECT 0, 0, 0 WHERE ?1 > ?2 AND ?1 < ?2";
}

const char* LoginStore::count_sql() const {
    return "SELECT count(*) FROM login WHERE id BETWEEN ?1 AND ?2";
}

}  // namespace mox::storaged
