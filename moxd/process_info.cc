#include "moxd/process_info.h"

#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mox::moxd {

std::string how_it_ended(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        int number = WTERMSIG(wait_status);
        return fmt::format("signal {} ({})", number, strsignal(number));
    }
    return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

uint64_t memory_of_process(pid_t pid) {
    std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid));
    for (std::string line; std::getline(rollup, line);) {
        unsigned long kilobytes = 0;
        if (std::sscanf(line.c_str(), "Pss: %lu kB", &kilobytes) == 1) return uint64_t{kilobytes} * 1024;
    }
    std::ifstream statm(fmt::format("/proc/{}/statm", pid));
    uint64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string user_of_process(pid_t pid) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
        unsigned real = 0, effective = 0;
        if (std::sscanf(line.c_str(), "Uid: %u %u", &real, &effective) != 2) continue;
        const passwd* entry = getpwuid(effective);
        return entry != nullptr ? entry->pw_name : fmt::to_string(effective);
    }
    return {};
}

}  // namespace mox::moxd
