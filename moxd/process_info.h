// What the kernel says of a process, for status.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace mox::moxd {

/// "exit status 1", "signal 9 (Killed)".
std::string how_it_ended(int wait_status);
/// Bytes: PSS where the kernel lets us see it, else RSS; 0 when the process is gone.
uint64_t memory_of_process(pid_t pid);
/// Name of its effective user, or its number.
std::string user_of_process(pid_t pid);

}  // namespace mox::moxd
