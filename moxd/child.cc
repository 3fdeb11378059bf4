#include "moxd/child.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log/log.h"
#include "proto/supervise.h"

namespace mox::moxd {
namespace {

/// Runs in the new process: nothing is inherited but the supervision socket, standard error and the sanitizers'
/// options.
[[noreturn]] void become(const ChildSpec& spec, int socket) {
    std::vector<std::string> words = {spec.program, "-i", spec.name};
    if (!spec.user.empty()) words.insert(words.end(), {"-u", spec.user});
    if (!spec.directory.empty()) words.insert(words.end(), {"-d", spec.directory});
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"})
        if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
    std::vector<char*> variables;
    for (auto& variable : environment) variables.push_back(variable.data());
    variables.push_back(nullptr);

    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int s : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE}) signal(s, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(126);
    // Of a terminal they get what it takes to write to it: not its input, and no way to type into it.
    setsid();
    if (int log = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NOCTTY); log >= 0) dup2(log, STDERR_FILENO);
    // dup2 onto itself would keep close-on-exec.
    int moved = fcntl(socket, F_DUPFD, 100);
    if (moved < 0 || dup2(moved, proto::kSuperviseFd) < 0) _exit(126);
    if (close_range(proto::kSuperviseFd + 1, ~0U, 0) != 0) _exit(126);
    execve(spec.program.c_str(), arguments.data(), variables.data());
    _exit(127);
}

}  // namespace

bool Child::spawn() {
    auto [here, there] = ipc::make_socket_pair();
    if (!here) {
        log::error("cannot make a channel", {{"process", spec_.name}, {"error", std::strerror(errno)}});
        return false;
    }
    if (access(spec_.program.c_str(), X_OK) != 0) {
        log::error("program missing", {{"program", spec_.program}, {"error", std::strerror(errno)}});
        return false;
    }
    pid_ = fork();
    if (pid_ == 0) become(spec_, there.get());
    if (pid_ < 0) {
        log::error("cannot fork", {{"process", spec_.name}, {"error", std::strerror(errno)}});
        return false;
    }
    started = async::Clock::now();
    ready = joined = false;
    channel_ = std::make_shared<ipc::Channel>(std::move(here), ipc::PeerId{spec_.role, spec_.name});
    return true;
}

void Child::ended() {
    pid_ = -1;
    ready = joined = false;
    link_.detach();
    if (channel_ != nullptr) channel_->close("process ended");
    channel_.reset();
}

void Child::kill(int signal_number) const {
    if (pid_ > 0) ::kill(pid_, signal_number);
}

}  // namespace mox::moxd
