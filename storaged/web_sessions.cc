#include <ctime>

#include "common/log/log.h"
#include "storaged/account.h"
#include "storaged/names.h"
#include "storaged/storage_channel.h"

// Sessions of people in a browser (proto/web_sessions.h): rows of the account's database, by the hashes of their
// tokens.
//
// One that rested for too long, or is too old, is found by nobody; its row goes when another is begun, or when the
// database is open while retention looks. With the password all go, in one transaction. Those of an account that may
// not log in are found by nobody, and go as soon as its database can be opened: looked for by a mark, so that others
// are not. A backup has them, a restored account does not.

namespace mox::storaged {
namespace {

Result<void> check_session(const proto::NewWebSession& session) {
    if (session.token.size() == proto::kSessionHash && session.csrf.size() == proto::kSessionHash &&
        is_ip_address(session.remote_address) && is_printable(session.user_agent, proto::kMaxUserAgent))
        return {};
    return permanent(ErrorCode::bad_request, "not a session in a browser");
}

std::unexpected<Error> no_session() {
    return permanent(ErrorCode::not_found, "no such session");
}

}  // namespace

Result<proto::WebSession> MailStore::add_web_session(const proto::NewWebSession& session, int64_t now) {
    make_mark(kWebSessionsMark);
    drop_ended_web_sessions(now);
    db().run(
        "DELETE FROM web_session WHERE id IN (SELECT id FROM web_session ORDER BY last_used DESC, id DESC"
        " LIMIT -1 OFFSET ?)",
        proto::kMaxWebSessions - 1);
    // The same token twice is a fault of whoever makes them, or a replay.
    if (db().query("SELECT 1 FROM web_session WHERE token = ?", Blob{session.token}).next())
        return permanent(ErrorCode::exists, "there is a session with this token");
    db().run(
        "INSERT INTO web_session (token, csrf, kind, created, last_used, remote_address, user_agent)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        Blob{session.token}, Blob{session.csrf}, std::to_underlying(session.kind), now, now, session.remote_address,
        session.user_agent);
    return proto::WebSession{static_cast<uint64_t>(db().last_id()),
                             session.kind,
                             session.csrf,
                             now,
                             now,
                             session.remote_address,
                             session.user_agent};
}

std::vector<proto::WebSession> MailStore::read_web_sessions(Query rows) {
    std::vector<proto::WebSession> sessions;
    while (rows.next()) {
        auto kind = rows.small(1) < std::to_underlying(proto::WebSessionKind::kEnd)
                        ? static_cast<proto::WebSessionKind>(rows.small(1))
                        : proto::WebSessionKind{};
        sessions.push_back(
            {rows.number(0), kind, rows.bytes(2), rows.integer(3), rows.integer(4), rows.bytes(5), rows.bytes(6)});
    }
    return sessions;
}

Result<proto::WebSession> MailStore::find_web_session(const std::string& token, proto::WebSessionKind kind,
                                                      int64_t now) {
    auto found = read_web_sessions(db().query(
        "SELECT id, kind, csrf, created, last_used, remote_address, user_agent FROM web_session WHERE token = ?"
        " AND kind = ? AND last_used >= ? AND created >= ?",
        Blob{token}, std::to_underlying(kind), now - proto::kSessionRest, now - proto::kSessionLifetime));
    if (found.empty()) return no_session();
    return std::move(found.front());
}

Result<proto::Done> MailStore::use_web_session(uint64_t id, int64_t now) {
    db().run("UPDATE web_session SET last_used = max(last_used, ?) WHERE id = ?", now, id);
    return proto::Done{};
}

Result<proto::WebSessions> MailStore::web_sessions(int64_t now) {
    return proto::WebSessions{read_web_sessions(db().query(
        "SELECT id, kind, '', created, last_used, remote_address, user_agent FROM web_session WHERE last_used >= ?"
        " AND created >= ? ORDER BY last_used DESC, id DESC",
        now - proto::kSessionRest, now - proto::kSessionLifetime))};
}

Result<proto::Done> MailStore::end_web_sessions(uint64_t id) {
    if (id == 0)
        db().run("DELETE FROM web_session");
    else if (db().run("DELETE FROM web_session WHERE id = ?", id) == 0)
        return no_session();
    return proto::Done{};
}

Result<bool> MailStore::has_ended_web_sessions(int64_t now) {
    return db()
        .query("SELECT 1 FROM web_session WHERE last_used < ? OR created < ?", now - proto::kSessionRest,
               now - proto::kSessionLifetime)
        .next();
}

Result<proto::Done> MailStore::drop_ended_web_sessions(int64_t now) {
    db().run("DELETE FROM web_session WHERE last_used < ? OR created < ?", now - proto::kSessionRest,
             now - proto::kSessionLifetime);
    return proto::Done{};
}

async::Task<void> Accounts::end_disabled_web_sessions() {
    std::vector<std::string> names;
    for (const auto& account : all())
        if (account->has_web_sessions_to_end()) names.push_back(account->name());
    if (names.empty()) co_return;
    auto marked = co_await find_marked(std::move(names), kWebSessionsMark);
    for (const auto& account : all()) {
        // What is under way was begun before the account was disabled; it is looked at again.
        if (!account->has_web_sessions_to_end() || !account->idle()) continue;
        if (marked.contains(account->name())) {
            make_room();
            auto work = [](MailStore& store) { return store.end_web_sessions(0); };
            if (!co_await account->run(Access::write, work)) continue;  // why is in the log
        }
        account->set_web_sessions_ended();
    }
}

async::Task<void> Accounts::drop_ended_web_sessions() {
    for (const auto& account : all()) {
        if (!account->store_open()) continue;
        int64_t now = std::time(nullptr);
        auto look = [now](MailStore& store) { return store.has_ended_web_sessions(now); };
        auto due = co_await account->run(Access::read, look);
        if (!due.value_or(false)) continue;
        co_await account->run(Access::write, [now](MailStore& store) { return store.drop_ended_web_sessions(now); });
    }
}

async::Task<Result<proto::WebSession>> StorageChannel::on(proto::AddWebSession message) {
    if (auto checked = check_session(message.session); !checked) co_return std::unexpected(checked.error());
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    if (!account->may_log_in()) co_return permanent(ErrorCode::denied, "the account may not log in");
    server_.accounts().make_room();
    auto work = [session = std::move(message.session)](MailStore& store) {
        return store.add_web_session(session, std::time(nullptr));
    };
    co_return co_await account->run(Access::write, std::move(work));
}

async::Task<Result<proto::WebSession>> StorageChannel::on(proto::FindWebSession message) {
    auto account = server_.accounts().find(message.account);
    if (account == nullptr || !account->may_log_in()) co_return no_session();
    server_.accounts().make_room();
    int64_t now = std::time(nullptr);
    auto find = [token = std::move(message.token), kind = message.kind, now](MailStore& store) {
        return store.find_web_session(token, kind, now);
    };
    auto found = co_await account->run(Access::read, std::move(find));
    if (!found || now - found->last_used < proto::kSessionUseNoted) co_return found;
    // It is found whether or not that can be noted.
    auto note = [id = found->id, now](MailStore& store) { return store.use_web_session(id, now); };
    if (co_await account->run(Access::write, note)) found->last_used = now;
    co_return found;
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::EndWebSessions message) {
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return no_session();
    server_.accounts().make_room();
    co_return co_await account->run(Access::write,
                                    [id = message.id](MailStore& store) { return store.end_web_sessions(id); });
}

}  // namespace mox::storaged
