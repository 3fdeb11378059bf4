// The history of logins: merged, bounded, listed, forgotten; and whose word is taken for it.
#include <ctime>
#include <fmt/format.h>
#include <fstream>

#include "storaged/check.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
using proto::LoginAttempt;
using proto::LoginResult;
using storaged::LoginStore;

namespace {

LoginAttempt attempt(const std::string& account, LoginResult result, int64_t when,
                     const std::string& from = "192.0.2.1") {
    LoginAttempt a;
    a.account = account;
    a.login = account.empty() ? "" : account + "@example.org";
    a.remote_address = from;
    a.protocol = proto::LoginProtocol::imap;
    a.tls = proto::LoginTls::tls13;
    a.mechanism = proto::LoginMechanism::scram_sha_256;
    a.client = "a client 1.0";
    a.result = result;
    a.first = a.last = when;
    a.count = 1;
    return a;
}

struct History : World {
    std::unique_ptr<ipc::Channel> admin;

    History() { connect_admin(); }
    void connect_admin() {
        auto opened = server->open_for_admin();
        REQUIRE(opened);
        admin = std::make_unique<ipc::Channel>(std::move(opened->channel), ipc::PeerId{Role::storaged, "storaged"});
        admin->start();
    }
    Result<proto::Done> note(std::vector<LoginAttempt> attempts) {
        return call(authd, proto::NoteLogins{std::move(attempts)});
    }
    std::vector<LoginAttempt> list(std::optional<std::string> account = {},
                                   proto::LoginsWanted wanted = proto::LoginsWanted::all, uint32_t page = 512) {
        std::vector<LoginAttempt> all;
        proto::ListLogins request{std::move(account), wanted, {}, page};
        for (;;) {
            auto some = call(admin, request);
            REQUIRE(some);
            if (some->attempts.empty()) return all;
            for (auto& a : some->attempts) all.push_back(std::move(a));
            request.after = some->next;
        }
    }
    template <class F>
    auto run(F work) {
        return wait(server->logins()->run<LoginStore>(storaged::Access::write, std::move(work)));
    }
    void limit(int64_t keep, uint64_t max_failed) {
        static_cast<LoginStore&>(server->logins()->store()).set_limits(keep, max_failed);
    }
    void trim(int64_t now) {
        for (bool more = true; more;) more = run([now](LoginStore& store) { return store.trim(now); }).value();
    }
};

}  // namespace

TEST_CASE("logins are kept with all that is known of them, newest first") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    REQUIRE(w.note({attempt("alice", LoginResult::ok, now - 30), attempt("bob", LoginResult::wrong_password, now - 20),
                    attempt("", LoginResult::unknown_user, now - 10, "2001:db8::1")}));
    auto all = w.list();
    REQUIRE(all.size() == 3);
    CHECK(all[0].account.empty());
    CHECK(all[0].remote_address == "2001:db8::1");
    CHECK(all[1].account == "bob");
    const LoginAttempt& a = all[2];
    CHECK(a.account == "alice");
    CHECK(a.login == "alice@example.org");
    CHECK(a.protocol == proto::LoginProtocol::imap);
    CHECK(a.tls == proto::LoginTls::tls13);
    CHECK(a.mechanism == proto::LoginMechanism::scram_sha_256);
    CHECK(a.client == "a client 1.0");
    CHECK(a.result == LoginResult::ok);
    CHECK(a.first == now - 30);
    CHECK(w.list("alice").size() == 1);
    CHECK(w.list("alice", proto::LoginsWanted::failed).empty());
    CHECK(w.list("").size() == 1);
    CHECK(w.list({}, proto::LoginsWanted::failed).size() == 2);
    CHECK(w.list({}, proto::LoginsWanted::all, 1).size() == 3);  // page by page
    // After an end of any kind.
    w.crash();
    w.start();
    CHECK(w.run([](LoginStore& store) { return store.list({{}, proto::LoginsWanted::all, {}, 9}); })->attempts.size() ==
          3);
}

TEST_CASE("logins that are alike share a row for a day") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    auto at = [&](int64_t when) { REQUIRE(w.note({attempt("alice", LoginResult::ok, when)})); };
    at(now - 100'000);
    at(now - 50'000);
    CHECK(w.list().size() == 1);
    at(now - 1000);  // more than a day behind the first
    auto several = attempt("alice", LoginResult::ok, now);
    several.first = now - 500;
    several.count = 7;
    REQUIRE(w.note({several}));
    auto all = w.list();
    REQUIRE(all.size() == 2);
    CHECK(all[0].count == 8);
    CHECK(all[0].first == now - 1000);
    CHECK(all[0].last == now);
    CHECK(all[1].count == 2);
    CHECK(all[1].last == now - 50'000);
    // Whatever differs makes another row.
    std::vector<LoginAttempt> others(8, attempt("alice", LoginResult::ok, now));
    others[0].login = "alice+x@example.org";
    others[1].remote_address = "192.0.2.2";
    others[2].protocol = proto::LoginProtocol::submission;
    others[3].tls = proto::LoginTls::none;
    others[4].mechanism = proto::LoginMechanism::plain;
    others[5].client = "another";
    others[6].result = LoginResult::disabled;
    others[7].account = "bob";
    REQUIRE(w.note(others));
    CHECK(w.list().size() == 10);
}

TEST_CASE("attempts that differ in what the client chooses cost the same however many there are") {
    TemporaryDirectory directory;
    // SQLite tells each new connection's steps to `steps`.
    static uint64_t steps;
    constexpr int kStride = 10;
    auto count_steps = [](sqlite3* db, char**, const sqlite3_api_routines*) {
        auto count = [](void*) {
            steps++;
            return 0;
        };
        sqlite3_progress_handler(db, kStride, count, nullptr);
        return SQLITE_OK;
    };
    using Extension = int (*)(sqlite3*, char**, const sqlite3_api_routines*);
    auto extension = reinterpret_cast<void (*)()>(static_cast<Extension>(count_steps));
    REQUIRE(sqlite3_auto_extension(extension) == SQLITE_OK);
    History w;
    int64_t now = std::time(nullptr);
    REQUIRE(w.note({attempt("alice", LoginResult::ok, now)}));
    std::vector<uint64_t> costs;
    for (int round = 0; round < 6; round++) {
        std::vector<LoginAttempt> attempts(300, attempt("alice", LoginResult::wrong_password, now));
        for (size_t i = 0; i < attempts.size(); i++) {
            attempts[i].login = fmt::format("alice+{}-{}@example.org", round, i);
            attempts[i].client = fmt::format("client {}", i);
        }
        uint64_t before = steps;
        REQUIRE(w.note(attempts));
        costs.push_back(steps - before);
    }
    sqlite3_cancel_auto_extension(extension);
    CHECK(w.list().size() == 1801);
    CHECK(costs.front() > 0);
    CHECK(costs.back() < 2 * costs.front());
}

TEST_CASE("the history has its bounds") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    w.limit(1000, 10);
    auto flood = [&](const std::string& account, LoginResult result) {
        std::vector<LoginAttempt> attempts;
        for (int i = 0; i < 50; i++)
            attempts.push_back(attempt(account, result, now - 500 + i, fmt::format("10.0.0.{}", i)));
        REQUIRE(w.note(attempts));
    };
    flood("alice", LoginResult::wrong_password);
    flood("", LoginResult::unknown_user);
    flood("bob", LoginResult::ok);
    REQUIRE(w.note({attempt("alice", LoginResult::ok, now - 999), attempt("alice", LoginResult::ok, now - 1001)}));
    w.trim(now);
    CHECK(w.list("alice", proto::LoginsWanted::failed).size() == 10);
    CHECK(w.list("alice", proto::LoginsWanted::failed).back().remote_address == "10.0.0.40");  // the newest stay
    CHECK(w.list("alice").size() == 11);
    CHECK(w.list("").size() == 10);
    CHECK(w.list("bob").size() == 20);
    w.trim(now + 2000);
    CHECK(w.list().empty());
}

TEST_CASE("new rows alone have the history trimmed") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    w.limit(1000, 10);
    for (int n = 0; n < 8; n++) {
        std::vector<LoginAttempt> attempts;
        for (int i = 0; i < 500; i++)
            attempts.push_back(
                attempt("alice", LoginResult::throttled, now, fmt::format("10.{}.{}.{}", n, i / 250, i % 250)));
        REQUIRE(w.note(attempts));
    }
    CHECK(w.list().size() < 2100);
}

TEST_CASE("what authd says of logins is checked") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    auto refused = [&](auto change) {
        LoginAttempt a = attempt("alice", LoginResult::ok, now);
        change(a);
        CHECK(error_of(w.note({attempt("bob", LoginResult::ok, now), a})).code == ErrorCode::bad_request);
    };
    refused([](auto& a) { a.remote_address = "nowhere"; });
    refused([](auto& a) { a.account = "../alice"; });
    refused([](auto& a) { a.login = std::string(321, 'x'); });
    refused([](auto& a) { a.login = "a\nb"; });
    refused([](auto& a) { a.client = std::string(129, 'x'); });
    refused([](auto& a) { a.client = "\xff"; });
    refused([](auto& a) { a.first = a.last + 1; });
    refused([](auto& a) { a.first = a.last = -1; });
    refused([](auto& a) { a.count = 0; });
    refused([](auto& a) { a.count = UINT64_MAX; });
    std::vector<LoginAttempt> many(proto::kMaxLoginsAtOnce + 1, attempt("alice", LoginResult::ok, now));
    CHECK(error_of(w.note(many)).code == ErrorCode::bad_request);
    CHECK(w.list().empty());
    // Of an account that is gone nothing is kept; the future is now.
    REQUIRE(w.note({attempt("carol", LoginResult::ok, now), attempt("alice", LoginResult::ok, now + 1'000'000)}));
    auto all = w.list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].account == "alice");
    CHECK(all[0].last <= std::time(nullptr));
    // Who is not authd loses the channel.
    CHECK_FALSE(w.call(w.smtpd, proto::NoteLogins{{attempt("alice", LoginResult::ok, now)}}));
    CHECK(w.smtpd->lost());
}

TEST_CASE("logins go with their account") {
    TemporaryDirectory directory;
    History w;
    int64_t now = std::time(nullptr);
    REQUIRE_FALSE(w.deliver("alice", "", "text"));
    REQUIRE(w.note({attempt("alice", LoginResult::ok, now), attempt("bob", LoginResult::ok, now)}));
    REQUIRE(w.wait(w.server->remove_account({"alice"})));
    auto all = w.list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].account == "bob");
}

TEST_CASE("verify looks at the history") {
    TemporaryDirectory directory;
    History w;
    REQUIRE(w.note({attempt("alice", LoginResult::ok, std::time(nullptr))}));
    auto check = [&] { return w.call(w.admin, proto::CheckStore{"", proto::Strays::leave}); };
    CHECK(check()->problems.empty());
    w.run([](LoginStore& store) -> Result<proto::Done> {
        store.db().run("UPDATE login SET count = 0");
        return proto::Done{};
    });
    CHECK(check()->problems.size() == 1);
    // One that cannot be opened keeps nothing else from being looked at.
    w.wait(World::finish(*w.server));
    w.admin.reset();
    w.crash();
    std::filesystem::remove("logins.db-wal");
    std::ofstream("logins.db", std::ios::trunc) << std::string(8192, 'x');
    w.start();
    w.connect_admin();
    auto checked = check();
    REQUIRE(checked);
    CHECK(checked->problems.size() == 1);
    CHECK(checked->problems.front().starts_with("the history of logins"));
}
