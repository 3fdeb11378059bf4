// Logins by SCRAM and by certificates over a made-up storaged: what who has no keys gets to see.
#include <sodium.h>

#include "authd/logins.h"
#include "authd/passwords.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::authd;

namespace {

const std::string kKey(proto::kKeyFingerprint, 'k');

struct FakeStorage {
    Result<proto::StoredCredentials> on(proto::GetCredentials) { return proto::StoredCredentials{credentials}; }
    Result<proto::OwnedClientKey> on(proto::FindClientKey m) {
        if (busy) return temporary(ErrorCode::busy, "busy");
        if (m.fingerprint != kKey) return permanent(ErrorCode::not_found, "none");
        return proto::OwnedClientKey{owner, {m.fingerprint, "ed25519", "", 0, preauth}};
    }
    Result<proto::AccountChannel> on(proto::OpenAccount m) {
        opened.push_back(m.account);
        return proto::AccountChannel{};
    }
    std::optional<proto::Credentials> credentials;
    std::string owner = "alice";
    proto::Preauth preauth = proto::Preauth::yes;
    bool busy = false;
    std::vector<std::string> opened;
};

Directory make_directory() {
    proto::ConfigureAuthd c{};
    c.hostname = "mail.example.org";
    c.postmaster_account = "alice";
    c.domains = {{"example.org", "+-", false, false}};
    c.accounts = {{"alice", ""}, {"bob", ""}, {"gone", "on holiday"}};
    c.addresses = {{"*@example.org", "alice", ""},
                   {"alice@example.org", "alice", ""},
                   {"also@example.org", "alice", ""},
                   {"bob@example.org", "bob", ""}};
    return Directory(std::move(c));
}

class World {
  public:
    World() {
        auto [ours, theirs] = ipc::make_socket_pair();
        server.emplace(std::move(ours), ipc::PeerId{ipc::Role::authd, "authd"});
        server->serve(ipc::Messages<proto::GetCredentials, proto::FindClientKey, proto::OpenAccount>{}, storage);
        server->start();
        auto channel = std::make_shared<ipc::Channel>(std::move(theirs), ipc::PeerId{ipc::Role::storaged, "storaged"});
        channel->start();
        link.attach(std::move(channel));
        logins.set_secret("secret of the server");
    }
    /// The server's first message to this user, without the random part.
    std::string challenge(proto::ScramHash hash, std::string user) {
        proto::ScramStart start{};
        start.context.remote_address = "192.0.2.1";
        start.client_first = "n,,n=" + user + ",r=abcdefghij";
        start.hash = hash;
        std::unique_ptr<ScramServer> scram;
        auto task = logins.scram_start(std::move(start), scram);
        for (int i = 0; i < 10000 && !task.done(); i++) event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
        REQUIRE(task.done());
        auto result = task.await_resume();
        REQUIRE(result);
        return result->server_first.substr(result->server_first.find(",s="));
    }

    Result<proto::LoggedIn> external(std::string authzid, std::string key = kKey,
                                     proto::ExternalUse use = proto::ExternalUse::command) {
        proto::LoginContext context{proto::LoginProtocol::imap, remote, 1};
        auto task = logins.external({context, std::move(key), std::move(authzid), use});
        while (!task.done()) event_base_loop(loop.base(), EVLOOP_ONCE);
        return task.await_resume();
    }

    std::string remote = "192.0.2.1";
    async::Loop loop;
    async::LoopMailbox mailbox;
    async::WorkerPool pool{1, mailbox};
    FakeStorage storage;
    std::optional<ipc::Channel> server;
    ipc::Link link{ipc::Role::storaged};
    Directory directory = make_directory();
    Logins logins{directory, link, pool};
};

}  // namespace

TEST_CASE("who has no keys for a hash looks like somebody unknown") {
    REQUIRE(sodium_init() >= 0);
    World world;
    auto credentials = make_credentials("correct horse");
    world.storage.credentials = credentials;
    using proto::ScramHash;
    auto sha1 = world.challenge(ScramHash::sha1, "alice@example.org");
    CHECK(sha1 != world.challenge(ScramHash::sha256, "alice@example.org"));
    auto nobody = world.challenge(ScramHash::sha1, "nobody@example.org");
    CHECK(nobody.size() == sha1.size());
    CHECK(world.challenge(ScramHash::sha1, "nobody@example.org") == nobody);
    // An account of before: the same salt each time, whatever the spelling, and none of its own.
    world.storage.credentials->scram_sha1 = {};
    auto without = world.challenge(ScramHash::sha1, "alice@example.org");
    CHECK(without != sha1);
    CHECK(without.size() == nobody.size());
    CHECK(world.challenge(ScramHash::sha1, "Alice+x@example.org") == without);
    CHECK(world.challenge(ScramHash::sha256, "alice@example.org") != without);
    world.storage.credentials.reset();
    CHECK(world.challenge(ScramHash::sha1, "alice@example.org") == without);
}

TEST_CASE("a login by the key of a certificate") {
    World w;
    auto logged_in = w.external("");
    REQUIRE(logged_in);
    CHECK(logged_in->account == "alice");
    CHECK(logged_in->login == "alice@example.org");  // derived (RFC 4422 A.2)
    CHECK(w.storage.opened == std::vector<std::string>{"alice"});
    logged_in = w.external("Also+x@example.org");
    REQUIRE(logged_in);
    CHECK(logged_in->login == "Also+x@example.org");
    // What is not an address of that account, by name, and keys that nobody has: all the same as a wrong password.
    for (std::string other : {"bob@example.org", "nobody@example.org", "anything@example.org", "alice", "x"}) {
        w.remote = "198.51.100." + std::to_string(other.size());  // not slowed down by those before
        auto refused = w.external(other);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::denied);
        CHECK(refused.error().text == "wrong user name or password");
    }
    auto unknown = w.external("alice@example.org", std::string(32, 'u'));
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().text == "wrong user name or password");
    CHECK(w.external("", "short").error().code == ErrorCode::bad_request);
    CHECK(w.external(std::string(400, 'x')).error().code == ErrorCode::bad_request);
    w.storage.owner = "gone";
    CHECK(w.external("").error().text == "on holiday");
    w.storage.busy = true;
    CHECK(w.external("").error().is_temporary());
}

TEST_CASE("failed logins by certificates slow down, and being asked about is none") {
    World w;
    auto preauth = proto::ExternalUse::preauth;
    // Whoever has some certificate is nobody for that.
    for (int i = 0; i < 200; i++)
        CHECK(w.external("", std::string(32, 'u'), preauth).error().code == ErrorCode::denied);
    CHECK(w.external("", kKey, preauth));
    w.storage.preauth = proto::Preauth::no;
    CHECK(w.external("", kKey, preauth).error().code == ErrorCode::denied);
    CHECK(w.external(""));
    w.storage.preauth = proto::Preauth::yes;
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 4; i++) CHECK_FALSE(w.external("", std::string(32, 'u')));
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(900));
}
