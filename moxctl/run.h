// moxctl without its main: from arguments to an exit status.
#pragma once

#include "moxctl/command.h"

namespace mox::moxctl {

/// What the world outside gives.
struct World {
    std::ostream& out;
    std::ostream& errors;
    PasswordSource& passwords;
    std::string default_socket;  // where moxd is when no option says so
    int64_t now;                 // Unix seconds
};

constexpr std::string_view kDefaultSocket = "/run/mox/control";

/// Runs the command that `arguments` (without the program's name) name.
ExitStatus run(const std::vector<std::string>& arguments, World world);

}  // namespace mox::moxctl
