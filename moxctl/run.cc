#include "moxctl/run.h"

#include <fmt/format.h>

namespace mox::moxctl {
namespace {

/// What the arguments say before they are looked at as a command.
struct Invocation {
    std::string socket;
    Format format = Format::text;
    std::vector<std::string> words;  // the command and what belongs to it
    bool help = false;
};

/// Takes "--json" out, wherever it stands in front of a "--".
Format take_json(std::vector<std::string>& arguments) {
    Format format = Format::text;
    for (size_t i = 0; i < arguments.size() && arguments[i] != "--";) {
        if (arguments[i] != "--json") {
            i++;
            continue;
        }
        format = Format::json;
        arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return format;
}

/// The value of an option at arguments[i]: behind its letter or the next argument. Moves i to the last one used.
std::string value_of(const std::vector<std::string>& arguments, size_t& i) {
    if (arguments[i].size() > 2) return arguments[i].substr(2);
    if (i + 1 == arguments.size()) throw UsageError(fmt::format("option {} needs a value", arguments[i]));
    return arguments[++i];
}

Invocation parse_invocation(std::vector<std::string> arguments, std::string default_socket) {
    Invocation out;
    out.socket = std::move(default_socket);
    out.format = take_json(arguments);
    size_t i = 0;
    for (; i < arguments.size() && arguments[i].starts_with('-'); i++) {
        const std::string& option = arguments[i];
        if (option == "-h" || option == "--help")
            out.help = true;
        else if (option.starts_with("-s"))
            out.socket = value_of(arguments, i);
        else if (option.starts_with("-d"))
            out.socket = value_of(arguments, i) + "/control";
        else
            throw UsageError(fmt::format("unknown option: {}", option));
    }
    out.words.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
    return out;
}

/// The command that the first one or two words name; takes them off.
const Command& take_command(std::vector<std::string>& words) {
    std::string one = words[0];
    std::string two = words.size() > 1 ? one + " " + words[1] : one;
    for (const auto& command : commands()) {
        if (command.name != one && command.name != two) continue;
        words.erase(words.begin(), words.begin() + (command.name == one ? 1 : 2));
        return command;
    }
    throw UsageError(fmt::format("unknown command: {}", two));
}

Arguments parse_arguments(const Command& command, const std::vector<std::string>& words) {
    Arguments out;
    bool options = true;
    for (size_t i = 0; i < words.size(); i++) {
        const std::string& word = words[i];
        if (options && word == "--") {
            options = false;
        } else if (options && !command.flag.empty() && word == command.flag) {
            out.flags.insert(word);
        } else if (options && !command.option.empty() && word == command.option) {
            if (i + 1 == words.size()) throw UsageError(fmt::format("option {} needs a value", word));
            out.value = words[++i];
        } else if (options && word.size() > 1 && word[0] == '-') {
            if (command.options.find(word[1]) == std::string_view::npos)
                throw UsageError(fmt::format("unknown option: {}", word));
            char letter = word[1];
            out.options[letter] = value_of(words, i);
        } else {
            out.words.push_back(word);
        }
    }
    if (out.words.size() < command.min_words) throw UsageError("an argument is missing");
    if (out.words.size() > command.max_words) throw UsageError("too many arguments");
    return out;
}

void complain_of_usage(Output& output, const UsageError& error, const std::vector<std::string>& words) {
    if (*error.what() != '\0') output.complain(error.what());
    std::string help = words.empty() ? std::string() : help_text_for(words);
    if (help.empty() && words.size() > 1) help = help_text_for({words[0], words[1]});
    if (help.empty() && !words.empty()) help = help_text_for({words[0]});
    output.complain(help.empty() ? "usage: moxctl [-s socket | -d directory] [--json] command ...; see moxctl help"
                                 : help);
}

void complain_of_failure(Output& output, const Failed& failure) {
    output.complain(failure.what());
    if (output.format == Format::json)
        output.json({{"error", failure.what()}, {"temporary", failure.error.is_temporary()}});
}

}  // namespace

ExitStatus run(const std::vector<std::string>& arguments, World world) {
    Output output(world.out, world.errors);
    std::vector<std::string> words;
    try {
        Invocation invocation = parse_invocation(arguments, std::move(world.default_socket));
        output.format = invocation.format;
        words = invocation.words;
        if (invocation.help) {
            output.raw(help_text());
            return ExitStatus::ok;
        }
        if (words.empty()) {
            output.complain(help_text());
            return ExitStatus::usage;
        }
        const Command& command = take_command(invocation.words);
        Arguments parsed = parse_arguments(command, invocation.words);
        Connection moxd(std::move(invocation.socket));
        Context context{output, world.passwords, moxd, world.now};
        command.run(context, parsed);
        return ExitStatus::ok;
    } catch (const UsageError& e) {
        complain_of_usage(output, e, words);
        return ExitStatus::usage;
    } catch (const Failed& e) {
        complain_of_failure(output, e);
        return ExitStatus::failed;
    } catch (const Unreachable& e) {
        output.complain(e.what());
        return ExitStatus::unreachable;
    }
}

}  // namespace mox::moxctl
