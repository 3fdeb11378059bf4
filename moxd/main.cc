// moxd: the parent of the suite. Reads the configuration, binds the ports, starts the programs and keeps them running,
// answers moxctl. It parses nothing from outside but its own configuration files.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/local.h"
#include "common/log/log.h"
#include "common/text/ascii.h"
#include "moxd/control.h"
#include "moxd/local_mode.h"
#include "moxd/supervisor.h"

namespace mox::moxd {
namespace {

using namespace std::chrono_literals;

constexpr const char* kUsage =
    R"(usage: moxd [-dhnvV] [-f mox.conf] [-x directory]
       moxd localserve [-hv] [-d directory] [-p offset] [-x directory]

  -d            stay in the foreground and log to standard error
  -f mox.conf   configuration file (default: /etc/mox/mox.conf); domains.conf stands next to it
  -h            show this
  -n            check the configuration and exit
  -v            log more
  -V            show the version
  -x directory  where the programs of the suite are

localserve runs a mail server to try out, on this machine only:
  -d directory  where it keeps everything (default: ~/.config/mox-localserve)
  -p offset     added to every port of a directory made now

See moxd(8) and mox.conf(5). A running suite is administered with moxctl(8).
)";

struct Options {
    bool local = false;
    bool check_only = false;
    bool verbose = false;
    std::string config_file = "/etc/mox/mox.conf";
    std::string directory;
    unsigned port_offset = 0;
    std::string program_directory;
};

[[noreturn]] void usage_error(const std::string& text) {
    fmt::print(stderr, "moxd: {}\n{}", text, kUsage);
    std::exit(2);
}

std::string default_local_directory() {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    if (config != nullptr && *config != '\0') return std::string(config) + "/mox-localserve";
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : "/root") + "/.config/mox-localserve";
}

/// The directory of the programs: next to moxd when installed, the build directory when run from there.
std::string find_programs() {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
    std::string folder = self.substr(0, self.rfind('/'));
    if (folder.ends_with("/moxd") && access((folder + "/../storaged/storaged").c_str(), X_OK) == 0)
        return folder.substr(0, folder.rfind('/'));
    return MOX_LIBEXEC;
}

Options parse_options(int argc, char** argv) {
    Options o;
    if (argc > 1 && std::string_view(argv[1]) == "localserve") {
        o.local = true;
        argc--;
        argv++;
    }
    int option = 0;
    while ((option = getopt(argc, argv, o.local ? "d:hp:vVx:" : "df:hnvVx:")) != -1) {
        switch (option) {
            case 'd':
                if (o.local) o.directory = optarg;
                break;
            case 'f':
                o.config_file = optarg;
                break;
            case 'h':
                fmt::print("{}", kUsage);
                std::exit(0);
            case 'n':
                o.check_only = true;
                break;
            case 'p': {
                auto offset = text::parse_number<unsigned>(optarg);
                if (!offset || *offset > config::kMaxPortOffset)
                    usage_error(fmt::format("not a port offset: {}; expected 0 to {}", optarg, config::kMaxPortOffset));
                o.port_offset = *offset;
                break;
            }
            case 'v':
                o.verbose = true;
                break;
            case 'V':
                fmt::print("mox {}\n", MOX_VERSION);
                std::exit(0);
            case 'x':
                o.program_directory = optarg;
                break;
            default:
                fmt::print(stderr, "{}", kUsage);
                std::exit(2);
        }
    }
    if (optind < argc) usage_error(fmt::format("unexpected word: {}", argv[optind]));
    if (o.program_directory.empty()) o.program_directory = find_programs();
    if (o.local && o.directory.empty()) o.directory = default_local_directory();
    return o;
}

[[noreturn]] void fail(const Error& error) {
    fmt::print(stderr, "{}\n", error.text);
    std::exit(1);
}

/// As many descriptors as we may have: listeners and channels of every child pass through here.
void raise_file_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

unsigned port_of(const Settings& s, proto::Service service) {
    for (const auto& e : endpoints(s))
        if (e.listener.service == service) return e.port;
    return 0;
}

void print_banner(const Settings& s, const LocalDirectory& local) {
    using proto::Service;
    unsigned smtp = port_of(s, Service::smtp), submission = port_of(s, Service::submission);
    unsigned imaps = port_of(s, Service::imaps);
    fmt::print(R"(
mox runs. Everything is in {0}

  account    mox@localhost    password  {1}
  SMTP       127.0.0.1:{2}   submission {3} (STARTTLS) {4} (TLS)
  IMAP       127.0.0.1:{5}   {6} (TLS)
  HTTP       127.0.0.1:{7}   {8} (TLS)   metrics {9}

Try:
  swaks --server 127.0.0.1:{2} --to mox@localhost --body hello
  swaks --server 127.0.0.1:{3} -tls --auth-user mox@localhost --auth-password {1} --from mox@localhost --to you@example.org
  curl -k --user mox@localhost:{1} 'imaps://127.0.0.1:{6}/INBOX;MAILINDEX=1'
  moxctl -d {0} status

Mail to any address is delivered to mox@localhost. Ctrl-C ends it.
)",
               local.path, kLocalPassword, smtp, submission, port_of(s, Service::submissions),
               port_of(s, Service::imap), imaps, port_of(s, Service::http), port_of(s, Service::https),
               port_of(s, Service::metrics));
    std::fflush(stdout);
}

/// Everything that runs in the loop.
struct Moxd {
    Options options;
    std::optional<LocalDirectory> local;
    async::Loop loop;
    Supervisor supervisor;
    Control control;
    int exit_status = 0;
    bool stopping = false;
    async::Scope scope;

    Moxd(Options o, std::optional<LocalDirectory> l, Settings settings)
        : options(std::move(o)),
          local(std::move(l)),
          supervisor({options.program_directory, geteuid() == 0, options.verbose}, std::move(settings)),
          control(supervisor, [this] { stop(0); }) {}

    void stop(int status) {
        if (stopping) return;
        stopping = true;
        exit_status = status;
        scope.spawn(end());
    }
    async::Task<void> end() {
        co_await async::Yield();  // an answer to moxctl goes out first
        co_await supervisor.stop();
        log::info("stopped");
        loop.stop();
    }
    async::Task<void> begin() {
        auto ready = co_await supervisor.wait_for_backends(30s);
        if (ready && local && local->needs_password) {
            ready = co_await control.set_password(config::kLocalAccount, {kLocalPassword});
            if (ready) password_is_set(*local);
        }
        if (ready) ready = co_await supervisor.open_fronts(30s);
        if (!ready) {
            log::error("start failed", {{"error", ready.error().text}});
            stop(1);
            co_return;
        }
        log::info("ready", {{"version", MOX_VERSION}});
        if (local) print_banner(supervisor.settings(), *local);
    }
    async::Task<void> reload() {
        log::info("reload asked for");
        [[maybe_unused]] auto done = co_await supervisor.reload();
    }
    int run() {
        if (auto done = control.listen(supervisor.settings().config.control_socket); !done) fail(done.error());
        if (auto done = supervisor.start(); !done) fail(done.error());
        loop.on_signal(SIGTERM, [this] { stop(0); });
        loop.on_signal(SIGINT, [this] { stop(0); });
        loop.on_signal(SIGHUP, [this] { scope.spawn(reload()); });
        scope.spawn(begin());
        loop.run();
        return exit_status;
    }
};

int main(int argc, char** argv) {
    log::set_program("moxd");
    Options options = parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // it holds keys and passwords of the configuration
    std::optional<LocalDirectory> local;
    if (options.local) {
        auto prepared = prepare_local_directory(options.directory, options.port_offset);
        if (!prepared) fail(prepared.error());
        local = std::move(*prepared);
        options.config_file = local->config_file;
    }
    auto settings = load_settings(options.config_file);
    if (!settings) fail(settings.error());
    if (options.check_only) {
        fmt::print("configuration OK\n");
        return 0;
    }
    raise_file_limit();
    log::set_level(options.verbose ? log::Level::debug : static_cast<log::Level>(settings->config.log.level));
    log::set_format(static_cast<log::Format>(settings->config.log.format));
    Moxd moxd(std::move(options), std::move(local), std::move(*settings));
    return moxd.run();
}

}  // namespace
}  // namespace mox::moxd

int main(int argc, char** argv) {
    return mox::moxd::main(argc, argv);
}
