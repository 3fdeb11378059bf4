#include <csignal>
#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>

#include "proto/supervise.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;

namespace {

/// The program itself, in its sandbox, with this test in the place of moxd.
struct Program {
    async::Loop& loop;
    QueueEvents queue_events;
    pid_t pid = -1;
    std::unique_ptr<ipc::Channel> supervision;

    explicit Program(async::Loop& the_loop) : loop(the_loop) {
        std::string directory = std::filesystem::current_path();
        const passwd* nobody = geteuid() == 0 ? getpwnam("nobody") : nullptr;
        if (nobody != nullptr) REQUIRE(chown(".", nobody->pw_uid, nobody->pw_gid) == 0);
        auto [ours, theirs] = ipc::make_socket_pair();
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            dup2(theirs.get(), proto::kSuperviseFd);
            if (nobody != nullptr)
                execl(MOX_STORAGED, "storaged", "-u", "nobody", "-d", directory.c_str(), "-i", "storaged", nullptr);
            else
                execl(MOX_STORAGED, "storaged", "-d", directory.c_str(), "-i", "storaged", nullptr);
            _exit(127);
        }
        supervision = std::make_unique<ipc::Channel>(std::move(ours), ipc::PeerId{Role::storaged, "storaged"});
        supervision->start();
    }
    ~Program() {
        if (pid > 0) kill(pid, SIGKILL);
        if (pid > 0) waitpid(pid, nullptr, 0);
    }
    /// The exit status, or minus the signal.
    int end() {
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        pid = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    std::unique_ptr<ipc::Channel> connect(Role role) {
        auto [ours, theirs] = ipc::make_socket_pair();
        supervision->send(proto::GivePeer{role, std::string(ipc::to_string(role)), std::move(theirs)});
        auto channel = std::make_unique<ipc::Channel>(std::move(ours), ipc::PeerId{Role::storaged, "storaged"});
        if (role == Role::queued) channel->serve(proto::QueueEventMessages{}, queue_events);
        channel->start();
        return channel;
    }
    template <class M>
    Result<typename M::Reply> call(ipc::Channel& channel, M message) {
        std::optional<Result<typename M::Reply>> value;
        async::Scope scope;
        auto task = channel.call(std::move(message), async::in(30s));
        scope.spawn(World::store(task, value, loop));
        if (!value) loop.run();
        return std::move(*value);
    }
};

proto::ConfigureStoraged configuration() {
    proto::ConfigureStoraged config{};
    config.log.level = 2;
    config.accounts = {{"alice", 0}};
    return config;
}

}  // namespace

TEST_CASE("the program does all of its work inside its sandbox, and ends when told") {
    TemporaryDirectory directory;
    async::Loop loop;
    for (int round = 0; round < 2; round++) {
        Program program(loop);
        REQUIRE(program.call(*program.supervision, configuration()));
        auto smtpd = program.connect(Role::smtpd);
        auto queued = program.connect(Role::queued);
        auto authd = program.connect(Role::authd);
        for (int i = 0; i < 30; i++) {
            auto spool = program.call(*smtpd, proto::CreateSpool{});
            REQUIRE(spool);
            World::write_all(spool->file, "text");
            spool->file.reset();
            auto outcomes =
                program.call(*smtpd, proto::Deliver{spool->spool, World::facts("text"), {{"alice", "", ""}}});
            REQUIRE(outcomes);
            REQUIRE_FALSE(outcomes->targets[0].error);
        }
        auto spool = program.call(*smtpd, proto::CreateSpool{});
        REQUIRE(spool);
        World::write_all(spool->file, "text");
        spool->file.reset();
        proto::Enqueue enqueue{spool->spool, World::facts("text"), "alice", "", {"alice@here"}};
        auto ids = program.call(*smtpd, std::move(enqueue));
        REQUIRE(ids);
        CHECK(program.call(*queued, proto::QueueOpen{ids->ids[0]}));
        CHECK(program.call(*queued, proto::QueueDeliverLocal{ids->ids[0], {}, {"alice", "", ""}}));
        proto::Credentials credentials{"a", {"b", 1, {"c"}, {"d"}}, {}};
        CHECK(program.call(*authd, proto::SetCredentials{"alice", credentials}));
        auto opened = program.call(*authd, proto::OpenAccount{"alice"});
        REQUIRE(opened);
        Client alice(std::move(opened->channel));
        auto inbox = program.call(alice.channel, proto::OpenMailbox{"INBOX"});
        REQUIRE(inbox);
        CHECK(rows_of(*inbox).size() == static_cast<size_t>(31 * (round + 1)));
        auto files = program.call(alice.channel, proto::OpenMessages{inbox->mailbox.id, {{1}}});
        REQUIRE(files);
        CHECK(text_of(files->messages.at(0)) == "text");
        auto metrics = program.call(*program.supervision, proto::GetMetrics{});
        REQUIRE(metrics);
        CHECK(metrics->text.find("mox_storage_deliveries_total 31\n") != std::string::npos);
        program.supervision->send(proto::Shutdown{});
        std::optional<int> ended;
        async::Scope scope;
        auto nap = World::nap(500ms);
        scope.spawn(World::store(nap, ended, program.loop));
        program.loop.run();
        CHECK(program.end() == 0);
    }
    // After a clean end nothing is left to be done.
    struct stat log{};
    CHECK((stat("accounts/alice/index.db-wal", &log) != 0 || log.st_size == 0));
}

TEST_CASE("RemoveAccount reaches the program over the supervision channel") {
    TemporaryDirectory directory;
    async::Loop loop;
    Program program(loop);
    REQUIRE(program.call(*program.supervision, configuration()));
    auto authd = program.connect(Role::authd);
    REQUIRE(program.call(*authd, proto::OpenAccount{"alice"}));
    CHECK(program.call(*program.supervision, proto::RemoveAccount{"alice"}));
    CHECK_FALSE(std::filesystem::exists("accounts/alice"));
    CHECK_FALSE(std::filesystem::is_empty("removed"));
}

TEST_CASE("a second storaged on the same directory ends, the first stays") {
    TemporaryDirectory directory;
    async::Loop loop;
    Program first(loop);
    REQUIRE(first.call(*first.supervision, configuration()));
    Program second(loop);
    CHECK(second.end() == 1);
    CHECK(first.call(*first.supervision, proto::GetMetrics{}));
}
