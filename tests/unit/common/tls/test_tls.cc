// Handshakes between this library's two ends, with the key outside of the server's context.
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "common/tls/context.h"
#include "common/tls/key_store.h"
#include "common/tls/public_key.h"
#include "common/tls/self_signed.h"
#include "common/tls/signer.h"
#include "tests/unit/catch.h"

using namespace std::chrono_literals;

// Inside, since libtls has a global struct named tls.
namespace mox {
namespace {

struct SignServer {
    tls::KeyStore store;
    Result<proto::Signature> on(proto::SignTls request) { return store.sign(request); }
};

/// What authd does, in a process of its own: the method that use_signer() installs would act on its keys as well.
class SigningProcess {
  public:
    explicit SigningProcess(const std::vector<std::string>& keys_pem) {
        auto [here, there] = ipc::make_socket_pair();
        pid_ = fork();
        if (pid_ == 0) {
            here.reset();
            async::Loop loop;
            SignServer server;
            for (const auto& pem : keys_pem)
                if (!server.store.add(pem)) _exit(2);
            ipc::Channel channel(std::move(there), {ipc::Role::smtpd, "test"});
            channel.serve(proto::SignMessages{}, server);
            channel.start();
            alarm(30);
            loop.run();
            _exit(0);
        }
        channel_ = std::move(here);
    }
    /// Sends the handshakes of this process there from now on.
    void use() { signer().attach(Fd(dup(channel_.get()))); }
    ~SigningProcess() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    static tls::RemoteSigner& signer() {
        static tls::RemoteSigner s([] {});
        return s;
    }

  private:
    pid_t pid_;
    Fd channel_;
};

/// Keys and signing processes, made before use_signer() is called: its method would act on them too.
struct World {
    tls::SelfSigned ec = *tls::make_self_signed({"localhost"}, {"127.0.0.1"}, tls::KeyType::ecdsa_p256);
    tls::SelfSigned rsa = *tls::make_self_signed({"localhost"}, {"127.0.0.1"}, tls::KeyType::rsa_2048);
    // Those of clients of this process, whose keys are no different from a server's here.
    tls::SelfSigned client = *tls::make_self_signed({"anybody"}, {}, tls::KeyType::ecdsa_p256);
    tls::SelfSigned rsa_client = *tls::make_self_signed({"anybody"}, {}, tls::KeyType::rsa_2048);
    SigningProcess ec_authd{{ec.key_pem, client.key_pem, rsa_client.key_pem}};
    SigningProcess rsa_authd{{rsa.key_pem}};
    SigningProcess empty_authd{{}};
};
World& world() {
    signal(SIGPIPE, SIG_IGN);  // as in the programs: libtls writes to sockets that may be gone
    static World w;
    return w;
}

struct Outcome {
    std::string server_error, client_error, version, cipher, echoed, peer_key;
    int done = 0;
};

async::Task<void> serve(std::shared_ptr<tls::ServerContext> context, Fd socket, Outcome& outcome) {
    try {
        async::Stream stream(co_await context->accept(std::move(socket), async::in(5s)));
        auto& transport = static_cast<tls::TlsTransport&>(stream.transport());
        outcome.version = transport.version();
        outcome.cipher = transport.cipher();
        outcome.peer_key = transport.peer_key();
        auto line = co_await stream.read_line(1000, async::in(5s));
        stream.write(line.text);
        stream.write("\r\n");
        co_await stream.flush(async::in(5s));
    } catch (const std::exception& e) {
        outcome.server_error = e.what();
    }
    if (++outcome.done == 2) async::Loop::current().stop();
}

async::Task<void> use(Fd socket, tls::Verify verify, std::string name, std::string ca,
                      std::optional<tls::ClientIdentity> identity, Outcome& outcome) {
    try {
        async::Stream stream(co_await tls::connect(std::move(socket), name, verify, ca, async::in(5s), identity));
        stream.write("hello\r\n");
        co_await stream.flush(async::in(5s));
        auto line = co_await stream.read_line(1000, async::in(5s));
        outcome.echoed = line.text;
    } catch (const std::exception& e) {
        outcome.client_error = e.what();
    }
    if (++outcome.done == 2) async::Loop::current().stop();
}

Outcome handshake(std::shared_ptr<tls::ServerContext> context, tls::Verify verify, std::string name, std::string ca,
                  std::optional<tls::ClientIdentity> identity = {}) {
    async::Loop loop;
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    Outcome outcome;
    async::Scope scope;
    scope.spawn(serve(context, Fd(ends[0]), outcome));
    scope.spawn(use(Fd(ends[1]), verify, name, ca, std::move(identity), outcome));
    if (outcome.done < 2) loop.run();
    return outcome;
}

}  // namespace

// Before use_signer() is called in this process: tests run in this order.
TEST_CASE("the key store signs only what fits") {
    const auto* ec = &world().ec;
    tls::KeyStore store;
    CHECK_FALSE(store.add("no key"));
    REQUIRE(store.add(ec->key_pem));
    std::string id = tls::public_key_id_of_certificate(ec->certificate_pem);
    REQUIRE(id.size() == 32);
    using proto::SignatureScheme;
    CHECK(store.sign({id, SignatureScheme::ecdsa_digest, std::string(32, 'x')}));
    CHECK(store.sign({id, SignatureScheme::ecdsa_digest, std::string(20, 'x')}).error().code == ErrorCode::bad_request);
    CHECK(store.sign({id, SignatureScheme::rsa_raw_padded, std::string(256, 'x')}).error().code ==
          ErrorCode::bad_request);
    CHECK(store.sign({std::string(32, 'y'), SignatureScheme::ecdsa_digest, std::string(32, 'x')}).error().code ==
          ErrorCode::not_found);
}

TEST_CASE("a handshake is signed by a key that the server does not have") {
    bool rsa = GENERATE(false, true);
    tls::prepare();
    const auto& made = rsa ? world().rsa : world().ec;
    auto& authd = rsa ? world().rsa_authd : world().ec_authd;
    tls::use_signer(SigningProcess::signer());
    auto context = tls::ServerContext::make({made.certificate_pem});
    REQUIRE(context);

    SECTION("and verified by the client") {
        authd.use();
        Outcome o = handshake(*context, tls::Verify::certificate, "localhost", made.certificate_pem);
        CHECK(o.server_error == "");
        CHECK(o.client_error == "");
        CHECK(o.version == "TLSv1.3");
        CHECK(o.echoed == "hello");
    }
    SECTION("a wrong name is refused") {
        authd.use();
        CHECK(handshake(*context, tls::Verify::certificate, "elsewhere.test", made.certificate_pem).client_error != "");
    }
    SECTION("a signer without the key fails the handshake, not the process") {
        world().empty_authd.use();
        CHECK(handshake(*context, tls::Verify::none, "localhost", "").client_error != "");
    }
}

TEST_CASE("a client is known by the key it has proved to have") {
    tls::prepare();
    tls::use_signer(SigningProcess::signer());
    world().ec_authd.use();
    auto of = [](const tls::SelfSigned& made) { return tls::ClientIdentity{made.certificate_pem, made.key_pem}; };
    auto oldest = GENERATE(tls::Oldest::tls12, tls::Oldest::tls13);
    auto asked = tls::ServerContext::make({world().ec.certificate_pem}, oldest, tls::ClientCertificates::asked);
    REQUIRE(asked);
    auto peer_key = [&](std::optional<tls::ClientIdentity> identity) {
        Outcome o = handshake(*asked, tls::Verify::none, "localhost", "", std::move(identity));
        CHECK(o.server_error == "");
        CHECK(o.echoed == "hello");
        return o.peer_key;
    };
    std::string ec = tls::public_key_id_of_certificate(world().client.certificate_pem);
    std::string rsa = tls::public_key_id_of_certificate(world().rsa_client.certificate_pem);
    // One after the other: nobody is taken for who was there before.
    CHECK(peer_key({}) == "");
    CHECK(peer_key(of(world().client)) == ec);
    CHECK(peer_key({}) == "");
    CHECK(peer_key(of(world().rsa_client)) == rsa);
    CHECK(peer_key(of(world().client)) == ec);
    SECTION("not without its private half") {
        // Its own key signs for another's certificate.
        Outcome o = handshake(*asked, tls::Verify::none, "localhost", "",
                              tls::ClientIdentity{world().client.certificate_pem, world().rsa_client.key_pem});
        CHECK(o.echoed == "");
        CHECK(o.peer_key == "");
    }
    SECTION("and not where it is not asked") {
        auto context = tls::ServerContext::make({world().ec.certificate_pem}, oldest);
        REQUIRE(context);
        Outcome o = handshake(*context, tls::Verify::none, "localhost", "", of(world().client));
        CHECK(o.echoed == "hello");
        CHECK(o.peer_key == "");
    }
}

TEST_CASE("a public key out of what is in a file") {
    const auto& made = world().client;
    auto key = tls::read_public_key(made.certificate_pem);
    REQUIRE(key);
    CHECK(key->type == "ecdsa-p256");
    CHECK(key->fingerprint == tls::public_key_id_of_certificate(made.certificate_pem));
    CHECK(tls::read_public_key(world().rsa_client.certificate_pem)->type == "rsa-2048");
    // With a private key in front, or another certificate behind.
    CHECK(tls::read_public_key(made.key_pem + made.certificate_pem)->fingerprint == key->fingerprint);
    CHECK(tls::read_public_key(made.certificate_pem + world().ec.certificate_pem)->fingerprint == key->fingerprint);
    // openssl genpkey -algorithm ed25519 | openssl pkey -pubout
    auto bare = tls::read_public_key(
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n");
    REQUIRE(bare);
    CHECK(bare->type == "ed25519");
    CHECK(bare->fingerprint.size() == 32);
    for (std::string bad : {std::string(), std::string("garbage"), made.key_pem,
                            made.certificate_pem.substr(0, made.certificate_pem.size() / 2),
                            // X25519: no signatures
                            std::string("-----BEGIN PUBLIC KEY-----\n"
                                        "MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                        "-----END PUBLIC KEY-----\n")}) {
        auto refused = tls::read_public_key(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::bad_request);
    }
}

TEST_CASE("a remote signer survives a channel that dies") {
    auto [here, there] = ipc::make_socket_pair();
    int lost = 0;
    tls::RemoteSigner remote([&] { lost++; });
    remote.attach(std::move(here));
    there.reset();
    CHECK_FALSE(remote.sign({std::string(32, 'x'), proto::SignatureScheme::ecdsa_digest, std::string(32, 'x')}));
    CHECK_FALSE(remote.sign({std::string(32, 'x'), proto::SignatureScheme::ecdsa_digest, std::string(32, 'x')}));
    CHECK(lost == 2);  // said each time, for moxd makes a new one once a second at most
}

TEST_CASE("a connection that waits holds no buffers") {
    tls::prepare();
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
    REQUIRE(context);
    CHECK((SSL_CTX_get_mode(context.get()) & SSL_MODE_RELEASE_BUFFERS) != 0);
}

TEST_CASE("a certificate that does not parse is refused") {
    CHECK_FALSE(tls::ServerContext::make({"garbage"}));
    CHECK_FALSE(tls::ServerContext::make({}));
}

}  // namespace mox
