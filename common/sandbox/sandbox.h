// What a process of the suite may still do after its start: next to nothing.
//
// enter() is called once, in main, before the first byte from outside is read. It takes away, in this order: the view
// of the file system (chroot as root, landlock always where the kernel has it), the user's identity and capabilities,
// the way back (no_new_privs, not dumpable), memory and process limits, and all system calls but an allow-list:
// anything else kills the process. If any of it cannot be had, the process does not start. moxctl, which a person
// starts, does the same with enter_as_caller() before it reads foreign archives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mox::sandbox {

/// The files a process may reach after enter().
enum class Files : uint8_t {
    none,       // nothing at all
    directory,  // everything below one directory, which becomes its root directory or its landlock rule
    read_only,  // the same, without any way to change it
};
/// The network a process may reach beside the descriptors it is given.
enum class Network : uint8_t {
    none,     // no socket of its own
    accept,   // accepts on listening sockets handed to it
    connect,  // opens TCP (and UDP) sockets to other hosts
};
/// Whether threads may start after enter().
enum class Threads : uint8_t { none, allowed, kEnd };

/// What becomes of one who opens a file all the same, with Files::none: a library that looks for a table it can do
/// without must not end the program.
enum class OnOpen : uint8_t { kill, fail, kEnd };

/// The whole security policy of a program; stands in its main.cc.
struct Policy {
    Files files = Files::none;
    Network network = Network::none;
    Threads threads = Threads::none;
    OnOpen on_open = OnOpen::kill;
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

/// For a program that a person starts, on that person's own files: confines it as enter() does, but it stays the user
/// it is. Of root's capabilities only those over files remain, reading ones with Files::read_only, none with
/// Files::none.
void enter_as_caller(const Policy& policy, const std::string& directory);

}  // namespace mox::sandbox
