// Handshakes between this library's two ends, with the key outside of the server's context.
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "common/tls/context.h"
#include "common/tls/key_store.h"
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
    explicit SigningProcess(const std::string& key_pem) {
        auto [here, there] = ipc::make_socket_pair();
        pid_ = fork();
        if (pid_ == 0) {
            here.reset();
            async::Loop loop;
            SignServer server;
            if (!key_pem.empty() && !server.store.add(key_pem)) _exit(2);
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
    SigningProcess ec_authd{ec.key_pem};
    SigningProcess rsa_authd{rsa.key_pem};
    SigningProcess empty_authd{""};
};
World& world() {
    signal(SIGPIPE, SIG_IGN);  // as in the programs: libtls writes to sockets that may be gone
    static World w;
    return w;
}

struct Outcome {
    std::string server_error, client_error, version, cipher, echoed;
    int done = 0;
};

async::Task<void> serve(std::shared_ptr<tls::ServerContext> context, Fd socket, Outcome& outcome) {
    try {
        async::Stream stream(co_await context->accept(std::move(socket), async::in(5s)));
        auto& transport = static_cast<tls::TlsTransport&>(stream.transport());
        outcome.version = transport.version();
        outcome.cipher = transport.cipher();
        auto line = co_await stream.read_line(1000, async::in(5s));
        stream.write(line.text);
        stream.write("\r\n");
        co_await stream.flush(async::in(5s));
    } catch (const std::exception& e) {
        outcome.server_error = e.what();
    }
    if (++outcome.done == 2) async::Loop::current().stop();
}

async::Task<void> use(Fd socket, tls::Verify verify, std::string name, std::string ca, Outcome& outcome) {
    try {
        async::Stream stream(co_await tls::connect(std::move(socket), name, verify, ca, async::in(5s)));
        stream.write("hello\r\n");
        co_await stream.flush(async::in(5s));
        auto line = co_await stream.read_line(1000, async::in(5s));
        outcome.echoed = line.text;
    } catch (const std::exception& e) {
        outcome.client_error = e.what();
    }
    if (++outcome.done == 2) async::Loop::current().stop();
}

Outcome handshake(std::shared_ptr<tls::ServerContext> context, tls::Verify verify, std::string name, std::string ca) {
    async::Loop loop;
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    Outcome outcome;
    async::Scope scope;
    scope.spawn(serve(context, Fd(ends[0]), outcome));
    scope.spawn(use(Fd(ends[1]), verify, name, ca, outcome));
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
