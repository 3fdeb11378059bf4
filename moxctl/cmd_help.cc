// help, version.
#include <fmt/format.h>

#include "common/text/ascii.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

constexpr std::string_view kHead =
    "Usage: moxctl [-s socket | -d directory] [--json] command ...\n"
    "Talks to a running moxd, the mox mail server. See moxctl(8).\n\n";

constexpr std::string_view kTail =
    "\nOptions:\n"
    "    -s socket      The control socket of moxd. Default: the environment variable\n"
    "                   MOXCTL_SOCKET, else /run/mox/control.\n"
    "    -d directory   The same as -s directory/control, for local mode.\n"
    "    --again        Of import and restore: whatever was brought before.\n"
    "    --fix          Of verify: move files that belong to no message aside.\n"
    "    --json         Print JSON, for programs; may stand anywhere.\n"
    "    -h             Print this.\n";

std::string invocation(const Command& command) {
    std::string out(command.name);
    if (!command.synopsis.empty()) out += fmt::format(" {}", command.synopsis);
    return out;
}

bool begins_with(const Command& command, std::string_view words) {
    return command.name == words || command.name.starts_with(fmt::format("{} ", words));
}

}  // namespace

std::string help_text() {
    std::string out(kHead);
    out += "Commands:\n";
    for (const auto& command : commands())
        out += fmt::format("    {}\n        {}{}.\n", invocation(command), text::to_upper(command.summary[0]),
                           command.summary.substr(1));
    return out += kTail;
}

std::string help_text_for(const std::vector<std::string>& words) {
    std::string wanted;
    for (const auto& word : words) wanted += (wanted.empty() ? "" : " ") + word;
    std::string out;
    for (const auto& command : commands())
        if (begins_with(command, wanted))
            out += fmt::format("usage: moxctl {}\n    ({})\n", invocation(command), command.summary);
    return out;
}

void cmd_help(Context& context, const Arguments& arguments) {
    std::string text = arguments.words.empty() ? help_text() : help_text_for(arguments.words);
    if (text.empty()) throw UsageError(fmt::format("unknown command: {}", arguments.words[0]));
    context.output.raw(text);
}

void cmd_version(Context& context, const Arguments&) {
    context.output.say("moxctl " MOX_VERSION, {{"version", MOX_VERSION}});
}

}  // namespace mox::moxctl
