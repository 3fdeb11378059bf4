// The keys of TLS clients: whose they are, across accounts, restarts, removals, restored accounts and damaged ones.
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;

namespace {

proto::ClientKey key(char c, std::string name = "") {
    return {std::string(proto::kKeyFingerprint, c), "ed25519", std::move(name), 1000 + c, proto::Preauth::yes};
}

struct Keys : private TemporaryDirectory, public World {
    Result<proto::Done> add(const std::string& account, proto::ClientKey k) {
        return call(authd, proto::AddClientKey{account, std::move(k)});
    }
    /// Whose it is; empty for nobody's.
    std::string owner(char c) {
        auto found = call(authd, proto::FindClientKey{std::string(proto::kKeyFingerprint, c)});
        if (found) {
            CHECK(found->key.fingerprint == std::string(proto::kKeyFingerprint, c));
            return found->account;
        }
        return found.error().code == ErrorCode::not_found ? "" : "error: " + found.error().text;
    }
    std::vector<std::string> names(const std::string& account) {
        auto list = call(authd, proto::ListClientKeys{account});
        REQUIRE(list);
        std::vector<std::string> names;
        for (const auto& owned : list->keys) names.push_back(owned.account + ":" + owned.key.name);
        return names;
    }
    void write_key(const std::string& account, const proto::ClientKey& k) {
        auto work = [k](MailStore& store) { return store.add_client_key(k); };
        REQUIRE(wait(server->accounts().find(account)->run(Access::write, work)));
    }
};

}  // namespace

TEST_CASE("a key is one account's, until it is removed") {
    Keys w;
    CHECK(w.owner('a') == "");
    CHECK(w.names("").empty());
    REQUIRE(w.add("alice", key('a', "phone")));
    REQUIRE(w.add("alice", key('b', "laptop")));
    REQUIRE(w.add("bob", key('c')));
    CHECK(w.owner('a') == "alice");
    CHECK(w.owner('c') == "bob");
    CHECK(w.owner('x') == "");
    CHECK(error_of(w.add("bob", key('a'))).code == ErrorCode::exists);
    CHECK(error_of(w.add("alice", key('a'))).code == ErrorCode::exists);
    CHECK(error_of(w.add("nobody", key('d'))).code == ErrorCode::not_found);
    CHECK(w.names("alice") == std::vector<std::string>{"alice:phone", "alice:laptop"});
    CHECK(w.names("").size() == 3);
    CHECK(error_of(w.call(w.authd, proto::ListClientKeys{"nobody"})).code == ErrorCode::not_found);
    w.restart();
    CHECK(w.owner('b') == "alice");
    REQUIRE(w.call(w.authd, proto::RemoveClientKey{key('a').fingerprint}));
    CHECK(w.owner('a') == "");
    CHECK(error_of(w.call(w.authd, proto::RemoveClientKey{key('a').fingerprint})).code == ErrorCode::not_found);
    REQUIRE(w.add("bob", key('a')));
    CHECK(w.owner('a') == "bob");
    CHECK(w.owner('b') == "alice");
}

TEST_CASE("what is no key is refused") {
    Keys w;
    auto refused = [&](proto::ClientKey k) { return error_of(w.add("alice", std::move(k))).code; };
    auto with = [](auto change) {
        auto k = key('a', "name");
        change(k);
        return k;
    };
    CHECK(refused(with([](auto& k) { k.fingerprint += 'x'; })) == ErrorCode::bad_request);
    CHECK(refused(with([](auto& k) { k.fingerprint.clear(); })) == ErrorCode::bad_request);
    CHECK(refused(with([](auto& k) { k.name = "a\nb"; })) == ErrorCode::bad_request);
    CHECK(refused(with([](auto& k) { k.name = "\xff"; })) == ErrorCode::bad_request);
    CHECK(refused(with([](auto& k) { k.name.assign(proto::kMaxClientKeyName + 1, 'n'); })) == ErrorCode::bad_request);
    CHECK(refused(with([](auto& k) { k.type.assign(proto::kMaxClientKeyType + 1, 't'); })) == ErrorCode::bad_request);
    CHECK(w.names("").empty());
}

TEST_CASE("an account has so many keys and no more") {
    Keys w;
    auto numbered = [](size_t n) {
        auto k = key('k');
        k.fingerprint[0] = static_cast<char>(n);
        return k;
    };
    for (size_t n = 0; n < proto::kMaxClientKeys; n++) REQUIRE(w.add("alice", numbered(n)));
    CHECK(error_of(w.add("alice", numbered(proto::kMaxClientKeys))).code == ErrorCode::over_quota);
    CHECK(w.names("alice").size() == proto::kMaxClientKeys);
    CHECK(w.add("bob", numbered(proto::kMaxClientKeys)));
}

TEST_CASE("a removed account's keys are nobody's, also not of one made later") {
    Keys w;
    REQUIRE(w.add("alice", key('a')));
    REQUIRE(w.wait(w.server->remove_account({"alice"})));
    CHECK(w.owner('a') == "");
    w.configure();  // alice again
    CHECK(w.owner('a') == "");
    CHECK(w.names("").empty());
    REQUIRE(w.add("bob", key('a')));
    CHECK(w.owner('a') == "bob");
    // One that is configured no longer.
    w.accounts.pop_back();
    w.configure();
    CHECK(w.owner('a') == "");
    w.accounts.push_back({"bob", 0});
    w.configure();
    CHECK(w.owner('a') == "bob");
}

TEST_CASE("a key that two accounts have opens neither") {
    Keys w;
    REQUIRE(w.add("alice", key('a')));
    w.write_key("bob", key('a'));  // as a restored account comes by it
    w.restart();
    CHECK(w.owner('a') == "error: several accounts have this key");
    REQUIRE(w.call(w.authd, proto::RemoveClientKey{key('a').fingerprint}));
    CHECK(w.owner('a') == "");
}

TEST_CASE("only who has keys is opened to find them") {
    Keys w;
    REQUIRE(w.add("alice", key('a')));
    CHECK(std::filesystem::exists("accounts/alice/client-keys"));
    CHECK_FALSE(std::filesystem::exists("accounts/bob/client-keys"));
    w.restart();
    CHECK(w.owner('a') == "alice");
    CHECK(w.server->engine().counters.open_stores == 1);
    // A database that came without its mark, out of a backup, gets it again.
    std::filesystem::remove("accounts/alice/client-keys");
    auto restore = [](MailStore& store) -> Result<proto::Done> {
        store.restore_marks();
        return proto::Done{};
    };
    REQUIRE(w.wait(w.server->accounts().find("alice")->run(Access::read, restore)));
    CHECK(std::filesystem::exists("accounts/alice/client-keys"));
}

TEST_CASE("keys that change while it is looked for their owner are seen") {
    Keys w;
    auto later = [&](Result<proto::OwnedClientKey>& found) {
        auto look = [](Accounts& accounts, Result<proto::OwnedClientKey>& out) -> async::Task<void> {
            out = co_await accounts.find_client_key(key('x').fingerprint);
        };
        return look(w.server->accounts(), found);
    };
    Result<proto::OwnedClientKey> found = proto::OwnedClientKey{};
    async::Scope scope;
    scope.spawn(later(found));  // looks for marks
    w.server->accounts().find("alice")->forget_client_keys();
    w.write_key("alice", key('a'));
    w.settle();
    CHECK_FALSE(found);
    CHECK(w.owner('a') == "alice");
}

TEST_CASE("an account whose keys cannot be read keeps others from nothing but being given keys") {
    Keys w;
    REQUIRE(w.add("alice", key('a', "phone")));
    REQUIRE(w.add("bob", key('b')));
    w.wait(World::finish(*w.server));
    w.crash();
    std::filesystem::rename("accounts/bob/index.db", "bob.db");
    std::filesystem::create_directory("accounts/bob/index.db");
    w.start();
    CHECK(w.owner('a') == "alice");
    CHECK(w.owner('b') == "error: the keys of account bob cannot be read at the moment");
    CHECK(w.names("alice") == std::vector<std::string>{"alice:phone"});
    CHECK(error_of(w.call(w.authd, proto::ListClientKeys{"bob"})).is_temporary());
    CHECK(error_of(w.call(w.authd, proto::ListClientKeys{""})).is_temporary());
    CHECK(error_of(w.add("alice", key('c'))).is_temporary());
    // It is not tried again at once.
    std::filesystem::remove("accounts/bob/index.db");
    std::filesystem::rename("bob.db", "accounts/bob/index.db");
    CHECK(w.owner('b') == "error: the keys of account bob cannot be read at the moment");
    w.server->accounts().find("bob")->forget_client_keys();
    CHECK(w.owner('b') == "bob");
    REQUIRE(w.add("alice", key('c')));
}
