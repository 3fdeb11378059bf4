// Logins by SCRAM over a made-up storaged: what who has no keys gets to see.
#include <sodium.h>

#include "authd/logins.h"
#include "authd/passwords.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::authd;

namespace {

struct FakeStorage {
    Result<proto::StoredCredentials> on(proto::GetCredentials) { return proto::StoredCredentials{credentials}; }
    std::optional<proto::Credentials> credentials;
};

Directory make_directory() {
    proto::ConfigureAuthd c{};
    c.hostname = "mail.example.org";
    c.postmaster_account = "alice";
    c.domains = {{"example.org", "+-", false, false}};
    c.accounts = {{"alice", ""}};
    c.addresses = {{"alice@example.org", "alice", ""}};
    return Directory(std::move(c));
}

class World {
  public:
    World() {
        auto [ours, theirs] = ipc::make_socket_pair();
        server.emplace(std::move(ours), ipc::PeerId{ipc::Role::authd, "authd"});
        server->serve(ipc::Messages<proto::GetCredentials>{}, storage);
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
