// status, stop, reload, restart, log.
#include <fmt/format.h>

#include "common/log/log.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

constexpr std::chrono::seconds kStopLimit{15};

Json to_json(const proto::ProcessStatus& p) {
    return {{"name", p.name},     {"role", p.role},         {"pid", p.pid},       {"user", p.user},
            {"uptime", p.uptime}, {"restarts", p.restarts}, {"memory", p.memory}, {"running", p.running}};
}

}  // namespace

void cmd_status(Context& context, const Arguments&) {
    auto status = context.moxd.call(proto::CtlStatus{});
    if (context.output.format == Format::json) {
        Json processes = Json::array();
        for (const auto& p : status.processes) processes.push_back(to_json(p));
        context.output.json({{"version", status.version},
                             {"processes", processes},
                             {"accounts_asleep", status.accounts_asleep},
                             {"sessions_asleep", status.sessions_asleep}});
        return;
    }
    Table table({{"PROCESS"},
                 {"ROLE"},
                 {"PID", Align::right},
                 {"USER"},
                 {"UPTIME", Align::right},
                 {"RESTARTS", Align::right},
                 {"MEMORY", Align::right}});
    for (const auto& p : status.processes)
        table.add({p.name, p.role, p.running ? fmt::to_string(p.pid) : "", p.user,
                   p.running ? human_duration(std::chrono::seconds(p.uptime)) : "down", fmt::to_string(p.restarts),
                   p.running ? human_size(p.memory) : ""});
    context.output.raw(table.take());
    if (status.accounts_asleep > 0)
        context.output.raw(fmt::format("IMAP sessions at rest, without a process: {}, of {} account{}\n",
                                       status.sessions_asleep, status.accounts_asleep,
                                       status.accounts_asleep == 1 ? "" : "s"));
}

void cmd_stop(Context& context, const Arguments&) {
    context.moxd.call(proto::CtlStop{});
    if (!context.moxd.wait_for_end(kStopLimit))
        throw Failed(Error{Persistence::temporary, ErrorCode::timeout, "moxd is stopping, but has not ended yet"});
    context.output.say("stopped", Json::object());
}

void cmd_reload(Context& context, const Arguments&) {
    context.moxd.call(proto::CtlReload{});
    context.output.say("configuration reloaded", Json::object());
}

void cmd_restart(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlRestart{arguments.words[0]});
    context.output.say(fmt::format("restarting {}", arguments.words[0]), Json::object());
}

void cmd_log(Context& context, const Arguments& arguments) {
    log::Level level{};
    if (!log::parse_level(arguments.words[0], level))
        throw UsageError(fmt::format("unknown level \"{}\"", arguments.words[0]));
    context.moxd.call(proto::CtlLog{static_cast<uint8_t>(level)});
    context.output.say(fmt::format("logging at level {}", arguments.words[0]), Json::object());
}

}  // namespace mox::moxctl
