// STARTTLS and AUTH against a server whose key another process has, as in the real suite.
#include <signal.h>
#include <sys/wait.h>

#include "common/ipc/channel.h"
#include "common/sandbox/sandbox.h"
#include "common/text/base64.h"
#include "common/tls/key_store.h"
#include "common/tls/self_signed.h"
#include "common/tls/signer.h"
#include "tests/unit/common/smtp/run_client.h"

using namespace std::chrono_literals;

namespace mox::smtp {

using namespace testing;

namespace {

struct SignServer {
    tls::KeyStore store;
    Result<proto::Signature> on(proto::SignTls request) { return store.sign(request); }
};

/// The certificate, and the process that signs with its key; made once.
class World {
  public:
    World() {
        auto [here, there] = ipc::make_socket_pair();
        pid_ = fork();
        if (pid_ == 0) {
            here.reset();
            async::Loop loop;
            SignServer server;
            if (!server.store.add(made.key_pem)) _exit(2);
            ipc::Channel channel(std::move(there), {ipc::Role::smtpd, "test"});
            channel.serve(proto::SignMessages{}, server);
            channel.start();
            alarm(60);
            loop.run();
            _exit(0);
        }
        signer_.attach(std::move(here));
        tls::prepare();
        tls::use_signer(signer_);
        context = *tls::ServerContext::make({made.certificate_pem});
    }
    ~World() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    tls::SelfSigned made = *tls::make_self_signed({"localhost"}, {}, tls::KeyType::ecdsa_p256);
    // Before use_signer(), whose method would act on this key as well.
    tls::SelfSigned other = *tls::make_self_signed({"localhost"}, {}, tls::KeyType::ecdsa_p256);
    std::shared_ptr<tls::ServerContext> context;

  private:
    pid_t pid_;
    tls::RemoteSigner signer_{[] {}};
};

World& world() {
    static World w;
    return w;
}

const std::string kWithTls = "250-fake.example\r\n250-STARTTLS\r\n250 SIZE 5";
const std::string kInTls = "250-fake.example\r\n250-PIPELINING\r\n250 AUTH LOGIN PLAIN";

Script tls_script() {
    Script script;
    script.tls = world().context;
    script.replies["EHLO"] = {kWithTls, kInTls};
    return script;
}

Mail one_mail(const Fd& file) {
    Mail mail;
    mail.recipients = {"a@example"};
    mail.file = file.get();
    mail.file_size = 6;
    return mail;
}

}  // namespace

TEST_CASE("STARTTLS is used when offered, and what was announced before is forgotten") {
    Fd file = file_with("body\r\n");
    Run run = run_client(tls_script(), {}, {one_mail(file)});
    CHECK_FALSE(run.open);
    CHECK(run.tls_version == "TLSv1.3");
    CHECK(run.seen.count("EHLO") == 2);
    REQUIRE(run.sent.size() == 1);
    CHECK(run.sent[0][0].delivered());  // SIZE 5 was of the plain text
    CHECK(run.seen.commands.at(3) == "MAIL FROM:<>");
}

TEST_CASE("a certificate is verified when asked for") {
    ClientOptions options;
    options.tls = ClientTls::starttls;
    options.verify = tls::Verify::certificate;
    options.ca_pem = world().made.certificate_pem;
    CHECK_FALSE(run_client(tls_script(), options, {}).open);
    options.ca_pem = world().other.certificate_pem;
    auto refused = run_client(tls_script(), options, {}).open;
    REQUIRE(refused);
    CHECK(refused->scope == Scope::tls);
    CHECK(refused->verdict == Verdict::temporary);
}

TEST_CASE("STARTTLS refused: plain text when opportunistic, no mail when required") {
    Fd file = file_with("body\r\n");
    Script script = tls_script();
    script.replies["STARTTLS"] = {"454 4.7.0 not now"};
    script.replies["EHLO"] = {"250-fake.example\r\n250 STARTTLS"};
    Run run = run_client(script, {}, {one_mail(file)});
    CHECK_FALSE(run.seen.tls);
    REQUIRE(run.sent.size() == 1);
    CHECK(run.sent[0][0].delivered());
    ClientOptions required;
    required.tls = ClientTls::starttls;
    Run none = run_client(script, required, {one_mail(file)});
    REQUIRE(none.open);
    CHECK(none.open->verdict == Verdict::temporary);
    // Required TLS is asked for also where it is not announced.
    script.replies["EHLO"] = {"250 fake.example"};
    CHECK(run_client(script, required, {}).seen.count("STARTTLS") == 1);
}

TEST_CASE("a handshake that fails is told apart, so that plain text can be tried") {
    Script script = tls_script();
    script.tls = nullptr;
    Run run = run_client(script, {}, {});
    REQUIRE(run.open);
    CHECK(run.open->scope == Scope::tls);
    CHECK(run.open->verdict == Verdict::temporary);
}

TEST_CASE("text behind the answer to STARTTLS is an attack") {
    Script script = tls_script();
    script.replies["STARTTLS"] = {"220 2.0.0 go\r\n250 injected"};
    Run run = run_client(script, {}, {});
    REQUIRE(run.open);
    CHECK(run.open->enhanced == "4.7.0");
}

TEST_CASE("AUTH PLAIN, AUTH LOGIN, and wrong credentials") {
    ClientOptions options;
    options.tls = ClientTls::starttls;
    options.username = "me";
    options.password = "secret";
    Script script = tls_script();
    script.replies["AUTH"] = {"235 2.7.0 welcome"};
    Run plain = run_client(script, options, {});
    CHECK_FALSE(plain.open);
    CHECK(plain.seen.count("AUTH PLAIN " + text::encode_base64(std::string("\0me\0secret", 10))) == 1);

    script.replies["EHLO"] = {kWithTls, "250-fake.example\r\n250 AUTH LOGIN"};
    script.replies["AUTH"] = {"334 VXNlcm5hbWU6"};
    script.replies["BWU="] = {"334 UGFzc3dvcmQ6"};
    script.replies["C2VJCMV0"] = {"235 2.7.0 welcome"};
    Run login = run_client(script, options, {});
    CHECK_FALSE(login.open);
    CHECK(login.seen.count("c2VjcmV0") == 1);

    script.replies["AUTH"] = {"535 5.7.8 wrong"};
    Run wrong = run_client(script, options, {});
    REQUIRE(wrong.open);
    CHECK(wrong.open->verdict == Verdict::temporary);  // for the admin to mend: mail is not returned
}

namespace {

/// The client alone, in a process of its own and as confined as queued.
[[noreturn]] void confined_client(Fd socket, const std::string& ca_pem) {
    async::Loop loop;
    tls::prepare();
    sandbox::Identity identity{geteuid() == 0 ? "nobody" : "", "/tmp"};
    sandbox::enter({.files = sandbox::Files::none, .network = sandbox::Network::connect, .max_files = 256}, identity);
    ClientOptions options;
    options.hostname = "client.example";
    options.remote_name = "localhost";
    options.tls = ClientTls::starttls;
    options.verify = ca_pem.empty() ? tls::Verify::none : tls::Verify::certificate;
    options.ca_pem = ca_pem;
    Run run;
    async::Scope scope;
    scope.spawn(use_client(std::move(socket), std::move(options), {}, run));
    if (!run.done) loop.run();
    _exit(!run.open && run.tls_version == "TLSv1.3" ? 0 : 3);
}

async::Task<void> until_ended(pid_t pid, int& status) {
    while (waitpid(pid, &status, WNOHANG) == 0) co_await async::sleep_for(5ms);
    async::Loop::current().stop();
}

}  // namespace

TEST_CASE("handshakes need nothing that the sandbox of queued takes away") {
    bool verified = GENERATE(false, true);
    const std::string ca = verified ? world().made.certificate_pem : "";
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        confined_client(Fd(ends[1]), ca);
    }
    close(ends[1]);
    async::Loop loop;
    Script script = tls_script();
    Seen seen;
    int status = -1;
    async::Scope scope;
    scope.spawn(serve(Fd(ends[0]), script, seen));
    scope.spawn(until_ended(pid, status));
    loop.run();
    CHECK(seen.tls);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace mox::smtp
