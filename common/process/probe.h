// Trying to break out, for the tests of each program's sandbox: one forbidden act after the sandbox has been entered.
#pragma once

#include <string>

namespace mox::process {

/// Does what `name` says (open, read-passwd, write, socket, unix-socket, exec, fork, ptrace, read-memory, kill) against
/// `target` (a pid or path, where one is needed) and ends the process: status 0 when the act succeeded (the sandbox has
/// a hole), 77 when it was denied with an error, 2 when the name is unknown. The system call filter kills instead.
[[noreturn]] void run_probe(const std::string& name, const std::string& target);

}  // namespace mox::process
