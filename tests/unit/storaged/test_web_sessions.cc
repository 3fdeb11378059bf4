// Sessions in a browser: what begins and ends them, their bounds, and what is refused.
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;
using proto::WebSessionKind;

namespace {

proto::NewWebSession session(char c, WebSessionKind kind = WebSessionKind::webmail) {
    return {std::string(proto::kSessionHash, c), std::string(proto::kSessionHash, '-'), kind, "192.0.2.1", "Browser/1"};
}

struct Sessions : private TemporaryDirectory, public World {
    Result<proto::WebSession> add(char c, WebSessionKind kind = WebSessionKind::webmail) {
        return call(authd, proto::AddWebSession{"alice", session(c, kind)});
    }
    Result<proto::WebSession> find(char c, WebSessionKind kind = WebSessionKind::webmail) {
        return call(authd, proto::FindWebSession{"alice", std::string(proto::kSessionHash, c), kind});
    }
    /// An operation on alice's store.
    template <class F>
    auto on_store(F work) {
        return wait(server->accounts().find("alice")->run(Access::write, std::move(work)));
    }
    proto::WebSessions list(int64_t now) {
        auto sessions = on_store([now](MailStore& store) { return store.web_sessions(now); });
        REQUIRE(sessions);
        return std::move(*sessions);
    }
    std::vector<std::string> problems() {
        auto found = on_store([](MailStore& store) -> Result<std::vector<std::string>> { return check_store(store); });
        REQUIRE(found);
        return *found;
    }
};

}  // namespace

TEST_CASE("a session is found by the hash of its token until it is ended") {
    Sessions w;
    CHECK(error_of(w.find('a')).code == ErrorCode::not_found);
    auto added = w.add('a');
    REQUIRE(added);
    REQUIRE(w.add('b', WebSessionKind::account));
    auto found = w.find('a');
    REQUIRE(found);
    CHECK(found->id == added->id);
    CHECK(found->csrf == std::string(proto::kSessionHash, '-'));
    CHECK(found->remote_address == "192.0.2.1");
    CHECK(found->user_agent == "Browser/1");
    // What opens one kind of pages does not open another's, nor another account.
    CHECK(error_of(w.find('a', WebSessionKind::account)).code == ErrorCode::not_found);
    CHECK(error_of(w.call(w.authd, proto::FindWebSession{"bob", session('a').token, {}})).code == ErrorCode::not_found);
    CHECK(error_of(w.add('a')).code == ErrorCode::exists);
    w.restart();
    REQUIRE(w.find('a'));
    REQUIRE(w.call(w.authd, proto::EndWebSessions{"alice", added->id}));
    CHECK_FALSE(w.find('a'));
    CHECK(error_of(w.call(w.authd, proto::EndWebSessions{"alice", added->id})).code == ErrorCode::not_found);
    CHECK(w.find('b', WebSessionKind::account));
    REQUIRE(w.call(w.authd, proto::EndWebSessions{"alice", 0}));
    CHECK_FALSE(w.find('b', WebSessionKind::account));
    // Numbers are not used again.
    CHECK(w.add('c')->id > added->id + 1);
    CHECK(w.problems().empty());
}

TEST_CASE("what is no session is refused") {
    Sessions w;
    auto refused = [&](auto change) {
        auto s = session('a');
        change(s);
        return error_of(w.call(w.authd, proto::AddWebSession{"alice", s})).code == ErrorCode::bad_request;
    };
    CHECK(refused([](auto& s) { s.token.pop_back(); }));
    CHECK(refused([](auto& s) { s.csrf.clear(); }));
    CHECK(refused([](auto& s) { s.remote_address = "here"; }));
    CHECK(refused([](auto& s) { s.user_agent = "a\x1b[2J"; }));
    CHECK(refused([](auto& s) { s.user_agent.assign(proto::kMaxUserAgent + 1, 'x'); }));
    CHECK(error_of(w.call(w.authd, proto::AddWebSession{"nobody", session('a')})).code == ErrorCode::not_found);
    CHECK(w.list(std::time(nullptr)).sessions.empty());
}

TEST_CASE("a session ends by itself when it rests, and when it is old") {
    Sessions w;
    constexpr int64_t kDay = 24 * 3600;
    auto add = [&](char c, int64_t now) {
        return w.on_store([c, now](MailStore& store) { return store.add_web_session(session(c), now); });
    };
    auto finds = [&](char c, int64_t now) {
        auto found = w.on_store([c, now](MailStore& store) {
            return store.find_web_session(session(c).token, WebSessionKind::webmail, now);
        });
        return found.has_value();
    };
    int64_t begun = 1'700'000'000;
    auto added = add('a', begun);
    REQUIRE(added);
    CHECK(finds('a', begun + kDay));
    CHECK_FALSE(finds('a', begun + kDay + 1));
    int64_t used = begun;
    for (; used + kDay <= begun + proto::kSessionLifetime; used += kDay) {
        REQUIRE(finds('a', used + kDay));
        REQUIRE(w.on_store([&](MailStore& store) { return store.use_web_session(added->id, used + kDay); }));
    }
    CHECK(finds('a', used));
    CHECK_FALSE(finds('a', begun + proto::kSessionLifetime + 1));
    CHECK(w.list(used).sessions.size() == 1);
    CHECK(w.list(used + 1).sessions.empty());
    // The row goes when it is looked for, or when the next one is begun.
    auto ended = [&](int64_t now) {
        return w.on_store([now](MailStore& store) { return store.has_ended_web_sessions(now); });
    };
    CHECK_FALSE(*ended(used));
    CHECK(*ended(used + 1));
    REQUIRE(add('b', used + 1));
    CHECK_FALSE(*ended(used + 1));
}

TEST_CASE("of too many sessions those used longest ago end") {
    Sessions w;
    for (size_t i = 0; i < proto::kMaxWebSessions + 5; i++) {
        auto s = session('x');
        s.token[0] = static_cast<char>(i);
        auto now = static_cast<int64_t>(1000 + i);
        REQUIRE(w.on_store([s, now](MailStore& store) { return store.add_web_session(s, now); }));
    }
    auto list = w.list(2000);
    REQUIRE(list.sessions.size() == proto::kMaxWebSessions);
    CHECK(list.sessions.front().last_used == 1000 + static_cast<int64_t>(proto::kMaxWebSessions) + 4);
    CHECK(list.sessions.back().last_used == 1005);
    CHECK(list.sessions.front().csrf.empty());
    CHECK(w.problems().empty());
}

TEST_CASE("a use is noted when the last one noted is some minutes old") {
    Sessions w;
    int64_t now = std::time(nullptr);
    for (auto [c, ago] : {std::pair('a', int64_t{100}), {'b', proto::kSessionUseNoted + 10}})
        REQUIRE(w.on_store([&](MailStore& store) { return store.add_web_session(session(c), now - ago); }));
    uint64_t writes = w.server->engine().counters.writes;
    CHECK(w.find('a')->last_used == now - 100);
    CHECK(w.server->engine().counters.writes == writes);
    CHECK(w.find('b')->last_used >= now);
    CHECK(w.server->engine().counters.writes == writes + 1);
    REQUIRE(w.find('b'));
    CHECK(w.server->engine().counters.writes == writes + 1);
}

TEST_CASE("sessions end with the password, and while the account may not log in") {
    Sessions w;
    REQUIRE(w.add('a'));
    REQUIRE(w.call(w.authd, proto::SetCredentials{"alice", {"hash", {}, {}}}));
    CHECK_FALSE(w.find('a'));
    REQUIRE(w.add('b'));
    w.accounts[0].logins = proto::Logins::disabled;
    w.configure();
    CHECK_FALSE(w.find('b'));
    CHECK(error_of(w.add('c')).code == ErrorCode::denied);
    auto end = [](Accounts& accounts) -> async::Task<int> {
        co_await accounts.end_disabled_web_sessions();
        co_return 0;
    };
    w.wait(end(w.server->accounts()));
    CHECK_FALSE(w.server->accounts().find("alice")->has_web_sessions_to_end());
    w.accounts[0].logins = proto::Logins::allowed;
    w.configure();
    CHECK_FALSE(w.find('b'));
    CHECK(w.add('b'));
}

TEST_CASE("sessions go with the account, and do not come back with it") {
    Sessions w;
    REQUIRE(w.add('a'));
    REQUIRE(w.wait(w.server->remove_account({"alice"})));
    CHECK_FALSE(w.find('a'));
    w.configure();
    CHECK_FALSE(w.find('a'));
    auto removed = std::filesystem::directory_iterator("removed")->path().filename().string();
    auto admin = w.server->open_for_admin();
    REQUIRE(admin);
    ipc::Channel channel(std::move(admin->channel), {Role::storaged, "storaged"});
    channel.start();
    REQUIRE(w.call(channel, proto::UndeleteAccount{"alice", removed}));
    CHECK_FALSE(w.find('a'));
    CHECK(w.list(std::time(nullptr)).sessions.empty());
}
