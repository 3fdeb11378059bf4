// reindex.
//
// Security policy: messages were made by others, so each account is read by a process of its own, which is confined
// before it looks at the first byte: no network, no files, and no channel but one to the mail of the one account.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sandbox/sandbox.h"
#include "moxctl/command.h"
#include "moxctl/transfer/reindex.h"

namespace mox::moxctl {
namespace {

/// What the process of an account says at its end.
struct Outcome {
    ReindexCounts counts;
    char error[256];  // empty: it went well
};

Outcome reindex_account(Connection& moxd, const std::string& name) {
    Outcome outcome{};
    auto fail = [&outcome](std::string_view text) { text.copy(outcome.error, sizeof outcome.error - 1); };
    try {
        async::Loop loop;
        AccountLink account(moxd.open_account(name));
        moxd.close();
        Progress progress;
        log::set_program("moxctl");
        sandbox::enter_as_caller({.files = sandbox::Files::none, .on_open = sandbox::OnOpen::fail}, "");
        Reindex reindex(account, progress);
        try {
            run_to_end(reindex.run());
        } catch (const Failed& failed) {
            fail(failed.what());
        }
        outcome.counts = reindex.counts();
    } catch (const std::exception& e) {
        fail(e.what());
    }
    return outcome;
}

[[noreturn]] void fail_errno(const char* doing) {
    throw Failed(
        Error{Persistence::temporary, ErrorCode::internal, fmt::format("{}: {}", doing, std::strerror(errno))});
}

Outcome in_process(Connection& moxd, const std::string& name) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail_errno("pipe");
    Fd from(ends[0]);
    Fd to(ends[1]);
    pid_t child = fork();
    if (child < 0) fail_errno("fork");
    if (child == 0) {
        from.reset();
        Outcome outcome = reindex_account(moxd, name);
        bool told = write(to.get(), &outcome, sizeof outcome) == static_cast<ssize_t>(sizeof outcome);
        _exit(told ? 0 : 1);
    }
    to.reset();
    Outcome outcome{};
    ssize_t n = read(from.get(), &outcome, sizeof outcome);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (n != static_cast<ssize_t>(sizeof outcome))
        throw Failed(Error{Persistence::temporary, ErrorCode::internal,
                           fmt::format("{}: the process that reads its mail ended", name)});
    outcome.error[sizeof outcome.error - 1] = '\0';
    return outcome;
}

}  // namespace

void cmd_reindex(Context& context, const Arguments& arguments) {
    std::vector<std::string> names = arguments.words;
    bool all = arguments.flags.contains("--all");
    if (all != names.empty()) throw UsageError("either an account or --all");
    if (all)
        for (const auto& account : context.moxd.call(proto::CtlAccountList{}).accounts) names.push_back(account.name);
    ReindexCounts sum;
    uint64_t failed = 0;
    for (const std::string& name : names) {
        Outcome outcome = in_process(context.moxd, name);
        sum.indexed += outcome.counts.indexed;
        sum.lost += outcome.counts.lost;
        if (outcome.error[0] == '\0' && outcome.counts.lost == 0) continue;
        failed++;
        context.output.complain(
            fmt::format("{}: {}", name, outcome.error[0] != '\0' ? outcome.error : "messages that cannot be read"));
    }
    context.output.say(fmt::format("{} messages of {} accounts indexed", sum.indexed, names.size() - failed),
                       {{"indexed", sum.indexed}, {"lost", sum.lost}, {"accounts", names.size() - failed}});
    if (failed > 0) throw Failed(Error{Persistence::permanent, ErrorCode::io, "not all is indexed, as named above"});
}

}  // namespace mox::moxctl
