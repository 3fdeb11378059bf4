#include "moxctl/password.h"

#include <cerrno>
#include <csignal>
#include <termios.h>
#include <unistd.h>

namespace mox::moxctl {
namespace {

[[noreturn]] void fail(std::string text) {
    throw Failed(Error{Persistence::permanent, ErrorCode::bad_request, std::move(text)});
}

/// One line without its end; the end of input ends it, too.
ipc::Secret read_line(int fd) {
    ipc::Secret line;
    for (;;) {
        char c = 0;
        ssize_t n = ::read(fd, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot read the password");
        if (n == 0 || c == '\n') break;
        if (line.value.size() == kMaxPassword) fail("the password is too long");
        line.value += c;
    }
    if (line.value.ends_with('\r')) line.value.pop_back();
    return line;
}

/// The terminal whose echo is off, for the handler of signals that end the program.
int silent_terminal = -1;
termios terminal_before{};

void restore_and_end(int signal_number) {
    tcsetattr(silent_terminal, TCSANOW, &terminal_before);
    _exit(128 + signal_number);
}

/// Switches the echo of a terminal off for its life time, also when the program is interrupted meanwhile.
class NoEcho {
  public:
    explicit NoEcho(int fd) {
        if (tcgetattr(fd, &terminal_before) != 0) return;
        silent_terminal = fd;
        for (int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) signal(number, restore_and_end);
        termios silent = terminal_before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        silent.c_lflag |= ECHONL;
        tcsetattr(fd, TCSAFLUSH, &silent);
    }
    ~NoEcho() {
        if (silent_terminal < 0) return;
        tcsetattr(silent_terminal, TCSAFLUSH, &terminal_before);
        for (int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
        silent_terminal = -1;
    }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;
};

void prompt(std::string_view text) {
    [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

ipc::Secret ask(int fd, std::string_view text) {
    prompt(text);
    return read_line(fd);
}

}  // namespace

ipc::Secret DescriptorPassword::read() {
    if (!isatty(fd_)) return read_line(fd_);
    NoEcho silent(fd_);
    ipc::Secret first = ask(fd_, "Password: ");
    if (first.value.empty()) return first;
    ipc::Secret second = ask(fd_, "The same again: ");
    if (first.value != second.value) fail("the passwords differ");
    return first;
}

}  // namespace mox::moxctl
