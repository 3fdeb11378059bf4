// Logins by SCRAM, by certificates and by passwords over a made-up storaged: what who has no keys gets to see, and what
// the history has of each outcome.
#include <fmt/format.h>
#include <sodium.h>

#include "authd/client.h"
#include "authd/logins.h"
#include "authd/passwords.h"
#include "common/text/base64.h"
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
        auto [ours, theirs] = ipc::make_socket_pair();
        return proto::AccountChannel{std::move(theirs)};
    }
    std::optional<proto::Credentials> credentials;
    std::string owner = "alice";
    proto::Preauth preauth = proto::Preauth::yes;
    bool busy = false;
    std::vector<std::string> opened;
    async::Task<Result<proto::Done>> on(proto::NoteLogins message) {
        asked++;
        if (fails) co_return temporary(ErrorCode::busy, "busy");
        for (auto& attempt : message.attempts) noted.push_back(std::move(attempt));
        while (hangs) co_await async::sleep_for(std::chrono::milliseconds(10));
        co_return proto::Done{};
    }
    std::vector<proto::LoginAttempt> noted;
    int asked = 0;
    bool fails = false;
    bool hangs = false;
};

Directory make_directory() {
    proto::ConfigureAuthd c{};
    c.hostname = "mail.example.org";
    c.postmaster_account = "alice";
    c.domains = {{"example.org", "+-", false, false}};
    c.accounts = {{"alice", ""}, {"bob", "on holiday"}, {"gone", "on holiday"}, {"nameless", ""}};
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
        server->serve(
            ipc::Messages<proto::GetCredentials, proto::FindClientKey, proto::OpenAccount, proto::NoteLogins>{},
            storage);
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
        auto result = wait(logins.scram_start(std::move(start), scram));
        REQUIRE(result);
        return result->server_first.substr(result->server_first.find(",s="));
    }
    template <class T>
    T wait(async::Task<T> task) {
        auto limit = async::Clock::now() + std::chrono::seconds(20);
        while (!task.done() && async::Clock::now() < limit) event_base_loop(loop.base(), EVLOOP_ONCE);
        REQUIRE(task.done());
        return task.await_resume();
    }
    static async::Task<int> nap(async::Clock::duration span) {
        co_await async::sleep_for(span);
        co_return 0;
    }
    Result<proto::LoggedIn> log_in(std::string login, std::string password, std::string client = "a client") {
        proto::LoginContext context{proto::LoginProtocol::imap,   "127.0.0.1",      1, proto::LoginTls::tls13,
                                    proto::LoginMechanism::login, std::move(client)};
        return wait(logins.plain({context, std::move(login), {std::move(password)}}));
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

namespace {

constexpr std::string_view kScramBare = "n=alice@example.org,r=abcdefghij";

std::string sha256(std::string_view text) {
    std::string out(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size());
    return out;
}

/// The final message of a client with this key (RFC 5802 3).
std::string scram_final(const std::string& client_key, const std::string& server_first) {
    std::string message = "c=biws," + server_first.substr(0, server_first.find(','));
    std::string text = std::string(kScramBare) + ',' + server_first + ',' + message;
    std::string proof(crypto_auth_hmacsha256_BYTES, '\0');
    crypto_auth_hmacsha256(reinterpret_cast<unsigned char*>(proof.data()),
                           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           reinterpret_cast<const unsigned char*>(sha256(client_key).data()));
    for (size_t i = 0; i < proof.size(); i++) proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
    return message + ",p=" + text::encode_base64(proof);
}

}  // namespace

TEST_CASE("the account channel is for imapd, whatever a front says") {
    REQUIRE(sodium_init() >= 0);
    World w;
    const std::string client_key(32, 'c');
    w.storage.credentials = make_credentials("correct horse");
    w.storage.credentials->scram_sha256.stored_key.value = sha256(client_key);
    for (auto role : {ipc::Role::smtpd, ipc::Role::imapd}) {
        Client client(w.directory, w.logins, role);
        auto [ours, theirs] = ipc::make_socket_pair();
        ipc::Channel server(std::move(ours), {role, "front"});
        server.serve(proto::AuthMessages{}, client);
        server.start();
        ipc::Channel front(std::move(theirs), {ipc::Role::authd, "authd"});
        front.start();
        for (auto said : {proto::LoginProtocol::imap, proto::LoginProtocol::submission}) {
            proto::LoginContext context{said, "192.0.2.1", 1};
            auto call = [&](auto message) {
                return w.wait(front.call(std::move(message), async::in(std::chrono::seconds(20))));
            };
            auto external = call(proto::LoginExternal{context, kKey, "", proto::ExternalUse::command});
            REQUIRE(external);
            CHECK(static_cast<bool>(external->account_channel) == (role == ipc::Role::imapd));
            auto plain = call(proto::LoginPlain{context, "alice@example.org", {"correct horse"}});
            REQUIRE(plain);
            CHECK(static_cast<bool>(plain->account_channel) == (role == ipc::Role::imapd));
            proto::ScramStart start{};
            start.context = context;
            start.client_first = "n,," + std::string(kScramBare);
            auto challenge = call(std::move(start));
            REQUIRE(challenge);
            auto done = call(proto::ScramFinish{challenge->session, scram_final(client_key, challenge->server_first)});
            REQUIRE(done);
            CHECK(static_cast<bool>(done->logged_in.account_channel) == (role == ipc::Role::imapd));
        }
        CHECK(w.storage.opened.size() == (role == ipc::Role::imapd ? 6 : 0));
    }
}

TEST_CASE("each attempt is noted by its outcome, and no password is") {
    REQUIRE(sodium_init() >= 0);
    World world;
    world.storage.credentials = make_credentials("correct horse");
    using enum proto::LoginResult;
    CHECK(world.log_in("Alice+x@example.org", "correct horse", "client\r\n\xff 1"));
    CHECK(world.log_in("alice@example.org", "correct horse"));
    CHECK(world.log_in("alice@example.org", "correct horse"));
    CHECK_FALSE(world.log_in("alice@example.org", "wrong horse"));
    CHECK_FALSE(world.log_in("alice@example.org", std::string(2000, 'p')));
    CHECK_FALSE(world.log_in("bob@example.org", "correct horse"));
    CHECK_FALSE(world.log_in("nobody@example.org", "secret one"));
    for (const char* misplaced : {"my secret", "secret@pass", "s3cret"})
        CHECK_FALSE(world.log_in(misplaced, "secret two"));
    // Failures wait for their answers, so some were told already; each message merges what came in a second.
    world.wait(World::nap(std::chrono::milliseconds(1500)));
    CHECK(world.storage.asked < 10);
    std::map<std::string, uint64_t> counts;
    std::string client;
    for (const auto& a : world.storage.noted) {
        for (const std::string* text : {&a.account, &a.login, &a.client}) {
            CHECK(text->find("horse") == std::string::npos);
            CHECK(text->find("cret") == std::string::npos);
        }
        CHECK(a.remote_address == "127.0.0.1");
        CHECK(a.tls == proto::LoginTls::tls13);
        CHECK(a.mechanism == proto::LoginMechanism::login);
        CHECK(a.first <= a.last);
        counts[fmt::format("{}/{}/{}", a.account, a.login, static_cast<int>(a.result))] += a.count;
        if (a.login == "Alice+x@example.org") client = a.client;
    }
    auto count = [&](const std::string& who, proto::LoginResult result) -> uint64_t {
        return counts[fmt::format("{}/{}", who, static_cast<int>(result))];
    };
    CHECK(count("alice/Alice+x@example.org", ok) == 1);
    CHECK(count("alice/alice@example.org", ok) == 2);
    CHECK(count("alice/alice@example.org", wrong_password) == 2);
    CHECK(count("bob/bob@example.org", disabled) == 1);
    CHECK(count("/nobody@example.org", unknown_user) == 1);
    CHECK(count("/", unknown_user) == 3);
    CHECK(client == "client??\xef\xbf\xbd 1");
}

TEST_CASE("a flood of failures is bounded in memory while storaged does not answer") {
    REQUIRE(sodium_init() >= 0);
    World world;
    world.storage.fails = true;
    LoginHistory& history = world.logins.history();
    auto note = [&](int n, proto::LoginResult result) {
        proto::LoginContext context{proto::LoginProtocol::imap, fmt::format("10.0.{}.{}", n / 250, n % 250), 1};
        history.note(context, "alice@example.org", result);
    };
    for (int round = 0; round < 2; round++)
        for (int n = 0; n < 5000; n++) note(n, proto::LoginResult::wrong_password);
    CHECK(history.waiting().size() == LoginHistory::kMaxWaiting);
    CHECK(history.left_out() == 2 * (5000 - LoginHistory::kMaxWaiting));
    note(1, proto::LoginResult::ok);  // there is room for those that succeed
    CHECK(history.waiting().size() == LoginHistory::kMaxWaiting + 1);
    auto limit = async::Clock::now() + std::chrono::seconds(10);
    while (world.storage.asked == 0 && async::Clock::now() < limit)
        world.wait(World::nap(std::chrono::milliseconds(50)));
    world.wait(World::nap(std::chrono::milliseconds(50)));
    CHECK(history.waiting().size() >= LoginHistory::kMaxWaiting);  // they wait for the next time
    world.storage.fails = false;
    auto flush = [](LoginHistory& h) -> async::Task<int> {
        co_await h.flush();
        co_return 0;
    };
    world.wait(flush(history));
    CHECK(history.waiting().empty());
    CHECK(world.storage.noted.size() >= LoginHistory::kMaxWaiting);
    CHECK(world.storage.noted.front().count == 2);
}

TEST_CASE("steady attempts cost a message a second") {
    World w;
    LoginHistory& history = w.logins.history();
    auto limit = async::Clock::now() + std::chrono::milliseconds(3500);
    uint64_t noted = 0;
    while (async::Clock::now() < limit) {
        history.note({proto::LoginProtocol::imap, "192.0.2.1", 1}, "alice@example.org", proto::LoginResult::ok);
        noted++;
        w.wait(World::nap(std::chrono::milliseconds(5)));
    }
    CHECK(w.storage.asked >= 1);
    CHECK(w.storage.asked <= 3);
    w.wait(World::nap(std::chrono::milliseconds(1500)));
    CHECK(w.storage.asked <= 5);
    uint64_t kept = 0;
    for (const auto& a : w.storage.noted) kept += a.count;
    CHECK(kept == noted);
}

TEST_CASE("what storaged may have kept is not told again") {
    World w;
    w.storage.hangs = true;
    LoginHistory& history = w.logins.history();
    auto note = [&] {
        history.note({proto::LoginProtocol::imap, "192.0.2.1", 1}, "alice@example.org", proto::LoginResult::ok);
    };
    note();
    auto limit = async::Clock::now() + std::chrono::seconds(10);
    while (w.storage.asked == 0 && async::Clock::now() < limit) w.wait(World::nap(std::chrono::milliseconds(20)));
    REQUIRE(w.storage.asked == 1);
    w.server->close("test");
    w.wait(World::nap(std::chrono::milliseconds(50)));
    CHECK(history.waiting().empty());
    note();  // while nobody is there: it waits
    w.wait(World::nap(std::chrono::milliseconds(1200)));
    CHECK(w.storage.asked == 1);
    REQUIRE(history.waiting().size() == 1);
    CHECK(history.waiting().begin()->second.count == 1);
    w.storage.hangs = false;
    w.wait(World::nap(std::chrono::milliseconds(50)));
}

TEST_CASE("logins are noted for the account that is known, and at their time") {
    World w;
    w.storage.owner = "nameless";
    REQUIRE(w.external(""));
    w.storage.owner = "gone";
    CHECK_FALSE(w.external(""));
    w.storage.owner = "alice";
    CHECK_FALSE(w.external("bob@example.org"));
    proto::ScramStart start{};
    start.client_first = "n,,n=alice@example.org,r=abcdefghij";
    auto server = ScramServer::start(start);
    REQUIRE(server);
    w.logins.scram_abandoned({proto::LoginProtocol::imap, "192.0.2.1", 1}, *server, 1000);
    std::map<std::string, proto::LoginAttempt> found;
    for (const auto& [key, attempt] : w.logins.history().waiting())
        found[fmt::format("{}/{}/{}", attempt.account, attempt.login, static_cast<int>(attempt.result))] = attempt;
    auto has = [&](const std::string& who, proto::LoginResult result) {
        return found.contains(fmt::format("{}/{}", who, static_cast<int>(result)));
    };
    using enum proto::LoginResult;
    CHECK(found.size() == 4);
    CHECK(has("nameless/", ok));
    CHECK(has("gone/", disabled));
    CHECK(has("bob/bob@example.org", wrong_password));
    REQUIRE(has("alice/alice@example.org", aborted));
    CHECK(found[fmt::format("alice/alice@example.org/{}", static_cast<int>(aborted))].first == 1000);
}
