// moxctl's commands against a moxd that is made up, in a process of its own: what is asked of it, what is made of its
// answers.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "moxctl/run.h"
#include "tests/unit/catch.h"

namespace mox::moxctl {
namespace {

constexpr int64_t kNow = 1'000'000;
const std::string kCertificate = "-----BEGIN CERTIFICATE-----\nbytes\n-----END CERTIFICATE-----\n";

/// Answers like moxd. What it was asked is shown in its answers, since it is another process.
struct FakeMoxd {
    Result<proto::SuiteStatus> on(proto::CtlStatus) {
        return proto::SuiteStatus{"9.9",
                                  {{"moxd", "moxd", 17, "root", 3700, 0, 5u << 20, true},
                                   {"smtpd-1", "smtpd", 0, "_moxsmtp", 0, 3, 0, false}},
                                  2,
                                  5};
    }
    Result<proto::AccountChannel> on(proto::CtlOpenAccount m) {
        return permanent(ErrorCode::not_found, "no account " + m.account);
    }
    Result<proto::StoreChannel> on(proto::CtlOpenStore) { return permanent(ErrorCode::unavailable, "no store"); }
    async::Scope scope;
    /// As moxd: the answer goes out, then it ends.
    static async::Task<void> end() {
        co_await async::sleep_for(std::chrono::milliseconds(50));
        async::Loop::current().stop();
    }
    Result<ipc::Done> on(proto::CtlStop) {
        scope.spawn(end());
        return ipc::Done{};
    }
    Result<ipc::Done> on(proto::CtlReload) {
        return permanent(ErrorCode::bad_request,
                         "/etc/mox/domains.conf:3:1: unknown keyword\n/etc/mox/domains.conf:4:1: too");
    }
    Result<ipc::Done> on(proto::CtlRestart m) { return echo("restart " + m.name); }
    Result<ipc::Done> on(proto::CtlLog m) { return echo("log " + std::to_string(m.level)); }
    Result<ipc::Done> on(proto::CtlAccountAdd m) {
        if (m.account == "new") return ipc::Done{};
        return echo("account add " + m.account + " " + m.address + " " + m.password.value);
    }
    Result<ipc::Done> on(proto::CtlAccountRemove m) { return echo("account remove " + m.account); }
    Result<proto::AccountSummaries> on(proto::CtlAccountList) {
        return proto::AccountSummaries{
            {{"alice", {"alice@a.example", "*@a.example"}, uint64_t{10} << 30, ""}, {"bob", {}, 0, "gone"}}};
    }
    Result<ipc::Done> on(proto::CtlPassword m) { return echo("password " + m.account + " " + m.password.value); }
    static proto::OwnedClientKey key(std::string account, std::string name, proto::Preauth preauth) {
        return {std::move(account),
                {std::string(proto::kKeyFingerprint, '\xab'), "ed25519", std::move(name), 86400, preauth}};
    }
    Result<proto::OwnedClientKey> on(proto::CtlCertificateAdd m) {
        if (m.pem != kCertificate) return echo("certificate add " + m.pem);
        return key(m.account, m.name, m.preauth);
    }
    Result<proto::OwnedClientKeys> on(proto::CtlCertificateList m) {
        if (!m.account.empty()) return echo("certificate list " + m.account);
        return proto::OwnedClientKeys{
            {key("alice", "lap\x1btop", proto::Preauth::yes), key("bob", "", proto::Preauth::no)}};
    }
    Result<ipc::Done> on(proto::CtlCertificateRemove m) {
        return echo("certificate remove " + std::to_string(m.fingerprint.size()));
    }
    Result<ipc::Done> on(proto::CtlAddressAdd m) { return echo("address add " + m.address + " " + m.account); }
    Result<ipc::Done> on(proto::CtlAddressRemove m) { return echo("address remove " + m.address); }
    Result<ipc::Done> on(proto::CtlDomainAdd m) { return echo("domain add " + m.domain); }
    Result<ipc::Done> on(proto::CtlDomainRemove m) { return echo("domain remove " + m.domain); }
    Result<proto::DomainSummaries> on(proto::CtlDomainList) {
        return proto::DomainSummaries{{{"a.example", false, 2}, {"b.example", true, 0}}};
    }
    /// A queue of 1200 entries, or of those whose ids are asked for.
    Result<proto::QueueListing> on(proto::CtlQueueList m) {
        if (!m.filter.account.empty()) return permanent(ErrorCode::bad_request, "list " + to_text(m.filter));
        if (!m.filter.ids.empty()) return proto::QueueListing{{entry(m.filter.ids[0])}, false};
        proto::QueueListing page;
        uint64_t id = m.after + 1;
        for (; id <= 1200 && page.entries.size() < m.limit; id++) page.entries.push_back(entry(id));
        page.more = id <= 1200;
        return page;
    }
    Result<proto::QueueAffected> on(proto::CtlQueueKick m) {
        if (!m.filter.account.empty()) return permanent(ErrorCode::bad_request, "kick " + to_text(m.filter));
        return proto::QueueAffected{m.filter.ids.empty() ? 1200 : m.filter.ids.size()};
    }
    Result<proto::QueueAffected> on(proto::CtlQueueDrop m) {
        return proto::QueueAffected{m.filter.ids.empty() ? 1200u : 1u};
    }

    static std::unexpected<Error> echo(std::string text) { return temporary(ErrorCode::busy, std::move(text)); }
    static std::string to_text(const proto::QueueFilter& f) {
        std::string out = f.account + "," + f.sender + "," + f.recipient;
        for (uint64_t id : f.ids) out += "," + std::to_string(id);
        return out;
    }
    static proto::QueueEntry entry(uint64_t id) {
        proto::QueueEntry e{};
        e.id = id;
        e.recipient = "to-" + std::to_string(id) + "@b.example";
        e.queued = kNow - 60;
        e.next_attempt = kNow + 600;
        e.attempts = 2;
        e.last_error = "451 later\x1b[0m";
        e.size = 2048;
        return e;
    }
};

/// A directory with the control socket of a FakeMoxd.
class Server {
  public:
    Server() {
        char name[] = "/tmp/mox-test-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        directory_ = name;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
        Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener.get(), 5) == 0);
        pid_ = fork();
        if (pid_ == 0) serve(std::move(listener));
    }
    ~Server() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        unlink(socket().c_str());
        rmdir(directory_.c_str());
    }
    const std::string& directory() const { return directory_; }
    std::string socket() const { return directory_ + "/control"; }

  private:
    [[noreturn]] static void serve(Fd listener) {
        alarm(60);
        for (;;) {
            async::Loop loop;
            FakeMoxd handler;
            Fd client(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            ipc::Channel channel(std::move(client), {ipc::Role::moxctl, "moxctl"});
            channel.serve(proto::ControlMessages{}, handler);
            channel.start();
            async::Scope scope;
            scope.spawn(stop_when_lost(channel));
            loop.run();
        }
    }
    static async::Task<void> stop_when_lost(ipc::Channel& channel) {
        while (!channel.lost()) co_await channel.on_lost().wait();
        async::Loop::current().stop();
    }
    std::string directory_;
    pid_t pid_ = -1;
};

struct GivenPassword : PasswordSource {
    std::string password;
    ipc::Secret read() override { return {password}; }
};

struct Outcome {
    int status;
    std::string out;
    std::string errors;
};

Outcome ctl(std::vector<std::string> arguments, const std::string& socket, std::string password = "") {
    std::ostringstream out, errors;
    GivenPassword source;
    source.password = std::move(password);
    auto status = run(arguments, {out, errors, source, socket, kNow});
    return {static_cast<int>(status), out.str(), errors.str()};
}

}  // namespace

TEST_CASE("the table of processes") {
    Server server;
    auto text = ctl({"status"}, server.socket());
    CHECK(text.status == 0);
    CHECK(text.out ==
          "PROCESS  ROLE   PID  USER      UPTIME  RESTARTS  MEMORY\n"
          "moxd     moxd    17  root       1h01m         0    5.0M\n"
          "smtpd-1  smtpd    -  _moxsmtp    down         3       -\n"
          "IMAP sessions at rest, without a process: 5, of 2 accounts\n");
    auto json = Json::parse(ctl({"--json", "status"}, server.socket()).out);
    CHECK(json["version"] == "9.9");
    CHECK(json["processes"][0]["pid"] == 17);
    CHECK(json["processes"][1]["restarts"] == 3);
    CHECK(json["processes"][1]["running"] == false);
    CHECK(json["sessions_asleep"] == 5);
    CHECK(Json::parse(ctl({"status", "--json"}, server.socket()).out) == json);
    CHECK(ctl({"-d", server.directory(), "status"}, "/nowhere").status == 0);
    CHECK(ctl({"-d" + server.directory(), "status"}, "/nowhere").status == 0);
    CHECK(ctl({"-s", server.socket(), "status"}, "/nowhere").status == 0);
}

TEST_CASE("certificates") {
    Server server;
    const std::string hex(64, 'a');
    std::string shown;
    for (size_t i = 0; i < proto::kKeyFingerprint; i++) shown += "ab";
    auto list = ctl({"certificate", "list"}, server.socket());
    CHECK(list.out ==
          "ACCOUNT  NAME     TYPE     ADDED       PREAUTH  FINGERPRINT\n"
          "alice    lap?top  ed25519  1970-01-02  yes      " +
              shown +
              "\n"
              "bob      -        ed25519  1970-01-02  no       " +
              shown + "\n");
    auto json = Json::parse(ctl({"--json", "certificate", "list"}, server.socket()).out)["certificates"];
    CHECK(json[0]["fingerprint"] == shown);
    CHECK(json[0]["preauth"] == true);
    CHECK(json[1]["added"] == 86400);
    CHECK(ctl({"certificate", "list", "alice"}, server.socket()).errors == "certificate list alice\n");

    std::string file = server.directory() + "/key.pem";
    auto write = [&](const std::string& text) { std::ofstream(file, std::ios::trunc) << text; };
    write(kCertificate);
    auto added = ctl({"--json", "certificate", "add", "-n", "phone", "--no-preauth", "alice", file}, server.socket());
    CHECK(added.status == 0);
    CHECK(Json::parse(added.out)["name"] == "phone");
    CHECK(Json::parse(added.out)["preauth"] == false);
    CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).out ==
          "alice may log in with the ed25519 key " + shown + "\n");
    // Of the file only the first certificate or public key is sent.
    const std::string key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
    const std::string other = "-----BEGIN PUBLIC KEY-----\nother\n-----END PUBLIC KEY-----\n";
    for (const auto& text : {key + kCertificate, "text\n" + kCertificate + key, kCertificate + other}) {
        write(text);
        CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).status == 0);
    }
    write(key + other + kCertificate);
    CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).errors == "certificate add " + other);
    for (const auto& text : {key, std::string(), "-----BEGIN CERTIFICATE-----\n" + key, kCertificate.substr(0, 40),
                             "-----BEGIN CERTIFICATE-----\n" + key + kCertificate}) {
        write(text);
        CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).errors ==
              "neither a certificate nor a public key in PEM\n");
    }
    write(std::string(proto::kMaxCertificatePem + 1, 'x'));
    CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).errors.find("longer than") != std::string::npos);
    unlink(file.c_str());
    CHECK(ctl({"certificate", "add", "alice", file}, server.socket()).errors == "cannot read " + file + "\n");

    CHECK(ctl({"certificate", "remove", hex}, server.socket()).errors == "certificate remove 32\n");
    std::string colons = "AA";
    for (int i = 1; i < 32; i++) colons += ":AA";
    CHECK(ctl({"certificate", "remove", colons}, server.socket()).errors == "certificate remove 32\n");
    for (std::string bad : {std::string("ab"), hex + "aa", "x" + hex.substr(1), std::string()})
        CHECK(ctl({"certificate", "remove", bad}, server.socket()).status == 2);
}

TEST_CASE("arguments reach moxd, and its errors are shown as they are") {
    Server server;
    struct {
        std::vector<std::string> arguments;
        const char* errors;
    } cases[] = {
        {{"restart", "smtpd"}, "restart smtpd\n"},
        {{"log", "debug"}, "log 3\n"},
        {{"account", "add", "a", "a@b.example"}, "account add a a@b.example pass word\n"},
        {{"account", "remove", "a"}, "account remove a\n"},
        {{"password", "a"}, "password a pass word\n"},
        {{"address", "add", "x@b.example", "a"}, "address add x@b.example a\n"},
        {{"address", "add", "--", "-x@b.example", "a"}, "address add -x@b.example a\n"},
        {{"address", "remove", "*@b.example"}, "address remove *@b.example\n"},
        {{"domain", "add", "b.example"}, "domain add b.example\n"},
        {{"domain", "remove", "b.example"}, "domain remove b.example\n"},
        {{"queue", "list", "-a", "a", "-ffrom", "-t", "to", "7", "5", "7"}, "list a,from,to,5,7\n"},
        {{"queue", "kick", "-a", "a"}, "kick a,,\n"},
        {{"reload"}, "/etc/mox/domains.conf:3:1: unknown keyword\n/etc/mox/domains.conf:4:1: too\n"},
    };
    for (const auto& c : cases) {
        INFO(c.errors);
        auto outcome = ctl(c.arguments, server.socket(), "pass word");
        CHECK(outcome.status == 1);
        CHECK(outcome.errors == c.errors);
        CHECK(outcome.out.empty());
        auto with_json = c.arguments;
        with_json.insert(with_json.begin(), "--json");
        auto json = Json::parse(ctl(with_json, server.socket(), "pass word").out);
        CHECK(json["error"].get<std::string>() + "\n" == c.errors);
        CHECK(json["temporary"] == (c.arguments[0] != "reload" && c.arguments[0] != "queue"));
    }
}

TEST_CASE("lists") {
    Server server;
    CHECK(ctl({"account", "list"}, server.socket()).out ==
          "ACCOUNT  QUOTA  LOGIN     ADDRESSES\n"
          "alice      10G  yes       alice@a.example, *@a.example\n"
          "bob          -  disabled  -\n");
    auto accounts = Json::parse(ctl({"--json", "account", "list"}, server.socket()).out)["accounts"];
    CHECK(accounts[0]["addresses"][1] == "*@a.example");
    CHECK(accounts[1]["login_disabled"] == "gone");
    CHECK(ctl({"domain", "list"}, server.socket()).out ==
          "DOMAIN     STATE     ADDRESSES\n"
          "a.example  enabled           2\n"
          "b.example  disabled          0\n");
    auto domains = Json::parse(ctl({"--json", "domain", "list"}, server.socket()).out)["domains"];
    CHECK(domains[1]["disabled"] == true);
}

TEST_CASE("an account without a password") {
    Server server;
    auto outcome = ctl({"account", "add", "new", "n@b.example"}, server.socket(), "");
    CHECK(outcome.status == 0);
    CHECK(outcome.out.find("moxctl password new") != std::string::npos);
    CHECK(ctl({"account", "add", "new", "n@b.example"}, server.socket(), "secret").out == "account new added\n");
    outcome = ctl({"password", "a"}, server.socket(), "");
    CHECK(outcome.status == 1);
    CHECK(outcome.errors == "no password was given\n");
}

TEST_CASE("a long queue is read in pages") {
    Server server;
    auto json = Json::parse(ctl({"queue", "list", "--json"}, server.socket()).out)["messages"];
    REQUIRE(json.size() == 1200);
    for (size_t i = 0; i < 1200; i++) CHECK(json[i]["id"] == i + 1);
    CHECK(json[7]["to"] == "to-8@b.example");
    auto text = ctl({"queue", "list"}, server.socket()).out;
    CHECK(std::count(text.begin(), text.end(), '\n') == 1201);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(ctl({"queue", "list", "9"}, server.socket()).out ==
          "ID  FROM  TO              SIZE    AGE  ATTEMPTS    NEXT  LAST ERROR\n"
          " 9  <>    to-9@b.example  2.0K  1m00s         2  10m00s  451 later?[0m\n");
}

TEST_CASE("changes of the queue say how many") {
    Server server;
    CHECK(ctl({"queue", "kick", "1", "2"}, server.socket()).out == "2 kicked\n");
    CHECK(ctl({"queue", "kick", "all"}, server.socket()).out == "1200 kicked\n");
    CHECK(Json::parse(ctl({"--json", "queue", "drop", "all"}, server.socket()).out)["count"] == 1200);
    CHECK(ctl({"queue", "drop", "4", "4"}, server.socket()).status == 0);
    auto outcome = ctl({"queue", "drop", "4", "5"}, server.socket());
    CHECK(outcome.status == 1);
    CHECK(outcome.errors == "1 dropped of 2: the others are not in the queue\n");
}

TEST_CASE("wrong usage") {
    std::vector<std::string> cases[] = {
        {},
        {"nonsense"},
        {"account"},
        {"account", "nonsense"},
        {"account", "add"},
        {"account", "add", "a"},
        {"account", "add", "a", "b", "c"},
        {"status", "x"},
        {"status", "-x"},
        {"restart"},
        {"log"},
        {"log", "loud"},
        {"queue", "drop"},
        {"queue", "kick", "all", "5"},
        {"queue", "drop", "all", "-a", "x"},
        {"queue", "list", "x"},
        {"queue", "list", "-1"},
        {"queue", "list", "-a"},
        {"queue", "list", "-a", ""},
        {"help", "nonsense"},
        {"-Q"},
        {"-s"},
        {"--"},
    };
    for (const auto& arguments : cases) {
        std::string shown;
        for (const auto& argument : arguments) shown += " " + argument;
        INFO(shown);
        auto outcome = ctl(arguments, "/nowhere/control");
        CHECK(outcome.status == 2);
        CHECK(outcome.out.empty());
        CHECK(outcome.errors.find("sage") != std::string::npos);
    }
    auto of_command = ctl({"queue", "drop", "-x"}, "/nowhere/control").errors;
    CHECK(of_command.find("usage: moxctl queue drop [-a account]") != std::string::npos);
    CHECK(of_command.find("queue list") == std::string::npos);
    CHECK(ctl({"account"}, "/nowhere/control").errors.find("usage: moxctl account remove name") != std::string::npos);
}

TEST_CASE("help and version need no server") {
    CHECK(ctl({"help"}, "/nowhere/control").out == help_text());
    CHECK(ctl({"-h"}, "/nowhere/control").out == help_text());
    CHECK(ctl({"help", "account"}, "/nowhere/control").out.find("account list") != std::string::npos);
    CHECK(ctl({"help", "domain", "add"}, "/nowhere/control").out.find("domain list") == std::string::npos);
    CHECK(ctl({"version"}, "/nowhere/control").out == "moxctl " MOX_VERSION "\n");
}

TEST_CASE("without a server") {
    auto outcome = ctl({"status"}, "/nowhere/control");
    CHECK(outcome.status == 3);
    CHECK(std::count(outcome.errors.begin(), outcome.errors.end(), '\n') == 1);
    CHECK(outcome.errors.find("/nowhere/control") != std::string::npos);
    CHECK(outcome.errors.find("moxd") != std::string::npos);
    CHECK(ctl({"status"}, "/" + std::string(200, 'x')).status == 3);
}

TEST_CASE("stop waits for the end") {
    Server server;
    auto outcome = ctl({"stop"}, server.socket());
    CHECK(outcome.status == 0);
    CHECK(outcome.out == "stopped\n");
}

}  // namespace mox::moxctl
