// What a process of the suite may still do after its start: next to nothing.
//
// enter() is called once, in main, before the first byte from outside is read. It takes away, in this order: the view
// of the file system (chroot as root, landlock always where the kernel has it), the user's identity and capabilities,
// the way back (no_new_privs, not dumpable), memory and process limits, and all system calls but an allow-list:
// anything else kills the process. If any of it cannot be had, the process does not start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mox::sandbox {

/// The files a process may reach after enter().
enum class Files : uint8_t {
    none,       // nothing at all
    directory,  // everything below one directory, which becomes its root directory or its landlock rule
};
/// The network a process may reach beside the descriptors it is given.
enum class Network : uint8_t {
    none,     // no socket of its own
    accept,   // accepts on listening sockets handed to it
    connect,  // opens TCP (and UDP) sockets to other hosts
};
/// Whether threads may start after enter().
enum class Threads : uint8_t { none, allowed, kEnd };

/// The whole security policy of a program; stands in its main.cc.
struct Policy {
    Files files = Files::none;
    Network network = Network::none;
    Threads threads = Threads::none;
    uint64_t max_files = 1024;  // RLIMIT_NOFILE
    uint64_t max_memory = 0;    // RLIMIT_AS in bytes, 0 = unlimited
};

/// Where and as whom, as moxd told the program in its arguments.
struct Identity {
    std::string user;       // name to become; empty: stay (not started by root)
    std::string directory;  // root directory: empty for Files::none, or the data directory
};

/// Looks up what needs files (users, time zone, error texts) and then confines the process. Logs and ends it when any
/// step fails. With Files::directory the working directory is the given one afterwards, and paths are relative to it.
void enter(const Policy& policy, const Identity& identity);

}  // namespace mox::sandbox
