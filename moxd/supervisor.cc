#include "moxd/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log/log.h"
#include "moxd/entry.h"
#include "moxd/process_info.h"
#include "moxd/wiring.h"

namespace mox::moxd {

using ipc::Role;
using namespace std::chrono_literals;

namespace {

constexpr auto kConfigureLimit = 20s;
constexpr auto kHoldLimit = 10s;  // for fronts to wait for what is behind them
constexpr auto kFirstBackoff = 50ms;
constexpr auto kMaxBackoff = 10'000ms;
constexpr auto kStableAfter = 10s;            // having run that long, a child starts again at once
constexpr auto kEndLimit = 5s;                // for a process that has no business any more
constexpr auto kRejoinEvery = 1s;             // a new channel between two that live, at most
constexpr size_t kMaxMetricProcesses = 100;   // asked for one answer
constexpr size_t kMaxMetricText = 32 * 1024;  // bytes from one process

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, Settings settings)

    : options_(std::move(options)),
      settings_(std::move(settings)),
      sleepers_([this](const std::string& account) { wake(account); }) {}

Supervisor::~Supervisor() {
    scope_.cancel();
    for (auto& entry : children_) entry->child.link().detach();
    for (auto& entry : children_) entry->child.kill(SIGKILL);
    for (auto& worker : workers_) worker.entry->child.kill(SIGKILL);
}

std::string Supervisor::program_path(Role role) const {
    std::string program(role == Role::imapd_worker ? "imapd-worker" : ipc::to_string(role));
    // Installed, all programs are in one directory; in a build each has its folder.
    std::string installed = options_.program_directory + "/" + program;
    struct stat st{};
    if (stat(installed.c_str(), &st) == 0 && S_ISREG(st.st_mode)) return installed;
    std::string folder(role == Role::imapd_worker ? "imapd" : ipc::to_string(role));
    return options_.program_directory + "/" + folder + "/" + program;
}

std::unique_ptr<Supervisor::Entry> Supervisor::make_entry(Role role, std::string name) {
    ChildSpec spec;
    spec.role = role;
    spec.name = std::move(name);
    spec.program = program_path(role);
    if (options_.root) {
        spec.user = user_of(settings_.config, role);
        spec.directory = settings_.config.chroot_directory;
    }
    if (role == Role::storaged) spec.directory = settings_.config.data_directory;
    return std::make_unique<Entry>(std::move(spec), *this);
}

Supervisor::Entry& Supervisor::add(Role role, std::string name) {
    children_.push_back(make_entry(role, std::move(name)));
    return *children_.back();
}

Result<ipc::Done> Supervisor::prepare_directories() {
    auto make = [](const std::string& path, mode_t mode) -> Result<ipc::Done> {
        for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
            mkdir(path.substr(0, slash).c_str(), 0755);
        if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
            return permanent(ErrorCode::io, path + ": " + std::strerror(errno));
        return ipc::Done{};
    };
    if (auto done = make(settings_.config.data_directory, 0700); !done) return done;
    if (!options_.root) return ipc::Done{};
    if (auto done = make(settings_.config.chroot_directory, 0755); !done) return done;
    for (Role role : {Role::storaged, Role::authd, Role::dnsd, Role::smtpd, Role::imapd, Role::httpd, Role::queued}) {
        std::string user = user_of(settings_.config, role);
        const passwd* entry = getpwnam(user.c_str());
        if (entry == nullptr)
            return permanent(
                ErrorCode::not_found,
                fmt::format("no user {0} for {1}: useradd --system --no-create-home --shell /usr/sbin/nologin {0}",
                            user, ipc::to_string(role)));
        if (role != Role::storaged) continue;
        // Not through a link that somebody else may have put there.
        Fd data(open(settings_.config.data_directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!data || fchown(data.get(), entry->pw_uid, entry->pw_gid) != 0)
            return permanent(ErrorCode::io, settings_.config.data_directory + ": " + std::strerror(errno));
    }
    return ipc::Done{};
}

Result<ipc::Done> Supervisor::start() {
    if (auto done = prepare_directories(); !done) return done;
    endpoints_ = endpoints(settings_);
    if (auto done = listeners_.update(endpoints_); !done) return done;
    async::Loop::current().on_signal(SIGCHLD, [this] { reap(); });
    auto numbered = [&](Role role, uint16_t count) {
        for (uint16_t i = 1; i <= count; i++)
            add(role, count == 1 ? std::string(ipc::to_string(role)) : fmt::format("{}/{}", ipc::to_string(role), i));
    };
    for (Role role : {Role::storaged, Role::authd, Role::dnsd}) numbered(role, 1);
    numbered(Role::smtpd, settings_.config.workers.smtpd);
    numbered(Role::imapd, settings_.config.workers.imapd);
    numbered(Role::httpd, settings_.config.workers.httpd);
    numbered(Role::queued, 1);
    for (auto& entry : children_)
        if (!launch(*entry)) return permanent(ErrorCode::io, "cannot start " + entry->child.name());
    return ipc::Done{};
}

bool Supervisor::launch(Entry& entry) {
    if (!entry.child.spawn()) return false;
    auto channel = entry.child.channel();
    channel->serve(proto::ToMoxd{}, entry.handler);
    channel->start();
    entry.child.link().attach(channel);
    scope_.spawn(bring_up(entry));
    scope_.spawn(watch(channel, entry.child.pid()));
    return true;
}

// A child that has lost its channel to us ends by itself; one that does not is not ours any more.
async::Task<void> Supervisor::watch(std::shared_ptr<ipc::Channel> channel, pid_t pid) {
    while (!channel->lost()) co_await channel->on_lost().wait();
    co_await async::sleep_for(kEndLimit);
    kill_if_ours(pid);
}

void Supervisor::kill_if_ours(pid_t pid) {
    auto is_it = [&](const auto& e) { return e->child.pid() == pid; };
    bool ours = std::ranges::any_of(children_, is_it) || std::ranges::any_of(gone_, is_it) ||
                std::ranges::any_of(workers_, [&](const auto& w) { return is_it(w.entry); });
    if (!ours || pid <= 0) return;
    log::warn("process does not end: killed", {{"child", pid}});
    ::kill(pid, SIGKILL);
}

async::Task<void> Supervisor::kill_later(pid_t pid) {
    co_await async::sleep_for(kEndLimit);
    kill_if_ours(pid);
}

async::Task<void> Supervisor::bring_up(Entry& entry) {
    if (entry.child.spec().role == Role::imapd_worker) co_return;  // configured when it gets its account
    pid_t pid = entry.child.pid();
    bool front = is_front(entry.child.spec().role);
    if (front) co_await hold_back(async::in(kHoldLimit));
    if (entry.child.pid() != pid) co_return;
    // A front listens as soon as it is configured: then its peers must be there. The others must know their accounts
    // before anybody asks.
    if (front) join(entry);
    Result<ipc::Done> done;
    uint64_t generation = 0;
    // Settings may change while a process takes the old ones.
    do {
        generation = generation_;
        done = co_await configure(entry);
        if (entry.child.pid() != pid) co_return;
    } while (done && generation != generation_);
    if (!done) {
        log::error("process did not take its configuration",
                   {{"process", entry.child.name()}, {"error", done.error().text}});
        entry.child.kill(SIGKILL);
        co_return;
    }
    entry.child.ready = true;
    if (!front) join(entry);
    log::debug("process ready", {{"process", entry.child.name()}, {"child", pid}});
    changed_.notify_all();
}

// A front that listens before authd can sign and storaged can store only has failures to offer.
async::Task<void> Supervisor::hold_back(async::Deadline deadline) {
    try {
        while (!fronts_open_ || !backends_ready()) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        // Better temporary errors than no answer at all.
    }
}

proto::LogConfig Supervisor::log_config() const {
    auto level = static_cast<uint8_t>(settings_.config.log.level);
    if (options_.verbose) level = std::max(level, static_cast<uint8_t>(log::Level::debug));
    return {level, static_cast<uint8_t>(settings_.config.log.format)};
}

async::Task<Result<ipc::Done>> Supervisor::configure(Entry& entry) {
    auto channel = entry.child.channel();
    if (channel == nullptr) co_return temporary(ErrorCode::channel_lost, "not running");
    auto deadline = async::in(kConfigureLimit);
    Role role = entry.child.spec().role;
    auto with_log = [&](auto message) {
        message.log = log_config();
        return message;
    };
    auto with_listeners = [&](auto message) {
        message.log = log_config();
        message.listeners = listeners_.for_role(endpoints_, role);
        return message;
    };
    switch (role) {
        case Role::storaged:
            co_return co_await channel->call(with_log(for_storaged(settings_)), deadline);
        case Role::authd:
            co_return co_await channel->call(with_log(for_authd(settings_)), deadline);
        case Role::dnsd:
            co_return co_await channel->call(with_log(for_dnsd(settings_)), deadline);
        case Role::smtpd:
            co_return co_await channel->call(with_listeners(for_smtpd(settings_)), deadline);
        case Role::imapd:
            co_return co_await channel->call(with_listeners(for_imapd(settings_)), deadline);
        case Role::httpd:
            co_return co_await channel->call(with_listeners(for_httpd(settings_)), deadline);
        case Role::queued:
            co_return co_await channel->call(with_log(for_queued(settings_)), deadline);
        default:
            co_return permanent(ErrorCode::internal, "no configuration for this role");
    }
}

void Supervisor::join(Entry& entry) {
    entry.child.joined = true;
    for (auto& other : children_) {
        if (other.get() == &entry || !other->child.joined) continue;
        connect(entry.child, other->child);
        connect(other->child, entry.child);
    }
}

// A channel that broke between two that live. That of a process that ended comes anew with its next start.
void Supervisor::peer_lost(Child& client, const proto::PeerLost& lost) {
    if (!is_wired(client.spec().role, lost.role, lost.use) || !client.joined) return;
    Child& server = child_of(lost.role);
    auto now = async::Clock::now();
    auto& last = client.rejoined[lost.role];
    if (!server.joined || now - last < kRejoinEvery) return;
    last = now;
    log::warn("a channel is made anew", {{"from", client.name()}, {"to", server.name()}});
    connect(client, server, lost.use);
}

void Supervisor::reap() {
    for (;;) {
        int wait_status = 0;
        pid_t pid = waitpid(-1, &wait_status, WNOHANG);
        if (pid <= 0) return;
        auto found = std::ranges::find_if(children_, [&](auto& e) { return e->child.pid() == pid; });
        if (found != children_.end())
            child_ended(**found, wait_status);
        else
            worker_ended(pid, wait_status);
    }
}

void Supervisor::child_ended(Entry& entry, int wait_status) {
    Child& child = entry.child;
    auto ran = async::Clock::now() - child.started;
    if (!stopping_)
        log::error("process ended",
                   {{"process", child.name()}, {"child", child.pid()}, {"how", how_it_ended(wait_status)}});
    child.ended();
    changed_.notify_all();
    if (stopping_) return;
    child.backoff =
        ran > kStableAfter ? kFirstBackoff : std::min(kMaxBackoff, std::max(kFirstBackoff, child.backoff * 2));
    scope_.spawn(restart_later(entry));
}

async::Task<void> Supervisor::restart_later(Entry& entry) {
    do {
        co_await async::sleep_for(entry.child.backoff);
        if (stopping_ || entry.child.running()) co_return;
        entry.child.restarts++;
        entry.child.backoff = std::min(kMaxBackoff, entry.child.backoff * 2);
    } while (!launch(entry));
    log::info("process restarted", {{"process", entry.child.name()}, {"restarts", entry.child.restarts}});
}

bool Supervisor::all_ready() const {
    return std::ranges::all_of(children_, [](const auto& e) { return e->child.ready; });
}

bool Supervisor::backends_ready() const {
    return std::ranges::all_of(children_,
                               [](const auto& e) { return e->child.ready || is_front(e->child.spec().role); });
}

async::Task<Result<ipc::Done>> Supervisor::wait_for_backends(async::Clock::duration limit) {
    auto deadline = async::in(limit);
    try {
        while (!backends_ready()) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        co_return temporary(ErrorCode::timeout, "not all programs started; the log says why");
    }
    co_return ipc::Done{};
}

async::Task<Result<ipc::Done>> Supervisor::open_fronts(async::Clock::duration limit) {
    auto deadline = async::in(limit);
    fronts_open_ = true;
    changed_.notify_all();
    try {
        while (!all_ready()) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        co_return temporary(ErrorCode::timeout, "not all programs started; the log says why");
    }
    ensure_blank_worker();
    co_return ipc::Done{};
}

async::Task<Result<ipc::Done>> Supervisor::reload() {
    auto settings = load_settings(settings_.config_file, settings_.made);
    if (!settings) {
        log::error("configuration refused, the running one stays", {{"error", settings.error().text}});
        co_return std::unexpected(std::move(settings.error()));
    }
    co_return co_await apply(std::move(*settings));
}

async::Task<Result<ipc::Done>> Supervisor::apply(Settings settings) {
    if (settings.config.data_directory != settings_.config.data_directory ||
        settings.config.workers != settings_.config.workers || settings.config.users != settings_.config.users ||
        settings.config.control_socket != settings_.config.control_socket)
        co_return permanent(ErrorCode::bad_request,
                            "data-directory, control-socket, user and workers take a restart of moxd to change");
    auto wanted = endpoints(settings);
    if (auto done = listeners_.update(wanted); !done) co_return done;
    settings_ = std::move(settings);
    endpoints_ = std::move(wanted);
    generation_++;
    log::set_level(static_cast<log::Level>(log_config().level));
    log::set_format(static_cast<log::Format>(log_config().format));
    std::string failed;
    // storaged and authd know of an account before anybody can ask for it.
    for (size_t i = 0; i < children_.size(); i++) {
        Entry& entry = *children_[i];
        if (!entry.child.ready) continue;  // it gets the new one when it comes up
        if (auto done = co_await configure(entry); !done)
            failed += fmt::format("{}{}: {}", failed.empty() ? "" : "; ", entry.child.name(), done.error().text);
    }
    if (!failed.empty()) co_return temporary(ErrorCode::unavailable, failed);
    log::info("configuration in force");
    co_return ipc::Done{};
}

size_t Supervisor::alive() const {
    auto running = [](const auto& e) { return e->child.running(); };
    return static_cast<size_t>(std::ranges::count_if(children_, running)) +
           static_cast<size_t>(std::ranges::count_if(gone_, running)) +
           static_cast<size_t>(std::ranges::count_if(workers_, [&](const auto& w) { return running(w.entry); }));
}

/// When a process ends: what asks ends before what it asks.
Supervisor::Stage Supervisor::stage_of(Role role) {
    if (role == Role::storaged) return Stage::store;
    return role == Role::authd || role == Role::dnsd ? Stage::answer : Stage::ask;
}

async::Task<void> Supervisor::end_children(Stage stage, async::Deadline deadline) {
    std::vector<Entry*> ending;
    size_t staying = 0;
    for (auto& entry : children_) {
        Stage its = stage_of(entry->child.spec().role);
        if (its == stage) ending.push_back(entry.get());
        staying += its > stage && entry->child.running();
    }
    if (stage == Stage::ask)
        for (auto& worker : workers_) ending.push_back(worker.entry.get());
    for (Entry* entry : ending) entry->child.link().send(proto::Shutdown{});
    try {
        while (alive() > staying) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        for (auto& entry : children_) kill_stubborn(entry->child, stage);
        for (auto& worker : workers_) worker.entry->child.kill(SIGKILL);
        for (auto& entry : gone_) entry->child.kill(SIGKILL);
    }
}

void Supervisor::kill_stubborn(Child& child, Stage stage) {
    if (!child.running() || stage_of(child.spec().role) > stage) return;
    log::warn("process did not end in time: killed", {{"process", child.name()}});
    child.kill(SIGKILL);
}

async::Task<void> Supervisor::stop() {
    stopping_ = true;
    listeners_.close();
    sleepers_.end_all("server is shutting down");
    for (Stage stage : {Stage::ask, Stage::answer, Stage::store}) co_await end_children(stage, async::in(5s));
    try {
        auto deadline = async::in(2s);
        while (alive() > 0) co_await changed_.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        log::error("processes are left that even SIGKILL did not end");
    }
}

Result<ipc::Done> Supervisor::restart(const std::string& name) {
    size_t count = 0;
    auto matches = [&](const Child& c) {
        return c.running() && (c.name() == name || ipc::to_string(c.spec().role) == name);
    };
    for (auto& entry : children_)
        if (matches(entry->child)) entry->child.kill(SIGKILL), count++;
    for (auto& worker : workers_)
        if (matches(worker.entry->child)) worker.entry->child.kill(SIGKILL), count++;
    if (count == 0) return permanent(ErrorCode::not_found, "no process named " + name + "; moxctl status lists them");
    return ipc::Done{};
}

void Supervisor::set_log_level(uint8_t level) {
    log::set_level(static_cast<log::Level>(level));
    settings_.config.log.level = static_cast<config::LogLevel>(level);
    for (auto& entry : children_) entry->child.link().send(proto::SetLogLevel{level});
    for (auto& worker : workers_) worker.entry->child.link().send(proto::SetLogLevel{level});
}

std::vector<proto::ProcessStatus> Supervisor::status() const {
    std::vector<proto::ProcessStatus> result;
    auto row = [&](const Child& c) {
        auto uptime = std::chrono::duration_cast<std::chrono::seconds>(async::Clock::now() - c.started).count();
        bool running = c.running();
        result.push_back({c.name(), std::string(ipc::to_string(c.spec().role)), running ? c.pid() : 0,
                          running ? user_of_process(c.pid()) : "", running ? uptime : 0, c.restarts,
                          running ? memory_of_process(c.pid()) : 0, running});
    };
    for (const auto& entry : children_) row(entry->child);
    for (const auto& worker : workers_) row(worker.entry->child);
    return result;
}

Child& Supervisor::child_of(Role role) {
    auto found = std::ranges::find_if(children_, [&](auto& e) { return e->child.spec().role == role; });
    return (*found)->child;
}

ipc::Link& Supervisor::link(Role role) {
    return child_of(role).link();
}

async::Task<void> Supervisor::collect_metrics(std::shared_ptr<ipc::Channel> channel, std::string name,
                                              std::vector<proto::ProcessMetrics>& into) {
    if (channel == nullptr) co_return;
    auto metrics = co_await channel->call(proto::GetMetrics{}, async::in(2s));
    if (metrics && metrics->text.size() <= kMaxMetricText) into.push_back({std::move(name), std::move(metrics->text)});
}

async::Task<Result<proto::AllMetrics>> Supervisor::all_metrics() {
    proto::AllMetrics all;
    std::string own =
        "# HELP mox_process_restarts_total Times the process was started again.\n# TYPE mox_process_restarts_total "
        "counter\n";
    auto rows = status();
    for (const auto& p : rows) own += fmt::format("mox_process_restarts_total{{name=\"{}\"}} {}\n", p.name, p.restarts);
    own +=
        "# HELP mox_process_memory_bytes Proportional set size of the process.\n# TYPE mox_process_memory_bytes "
        "gauge\n";
    for (const auto& p : rows) own += fmt::format("mox_process_memory_bytes{{name=\"{}\"}} {}\n", p.name, p.memory);
    own += fmt::format(
        "# HELP mox_imap_accounts_asleep Accounts whose IMAP sessions all rest, without a process.\n"
        "# TYPE mox_imap_accounts_asleep gauge\nmox_imap_accounts_asleep {}\n"
        "# HELP mox_imap_sessions_asleep Their sessions.\n"
        "# TYPE mox_imap_sessions_asleep gauge\nmox_imap_sessions_asleep {}\n",
        sleepers_.accounts(), sleepers_.sessions());
    all.processes.push_back({"moxd", std::move(own)});
    async::Scope scope;
    for (auto& entry : children_)
        scope.spawn(collect_metrics(entry->child.channel(), entry->child.name(), all.processes));
    for (auto& worker : workers_) {
        if (all.processes.size() + scope.size() >= kMaxMetricProcesses) break;
        if (worker.account.empty()) continue;
        auto& child = worker.entry->child;
        scope.spawn(collect_metrics(child.channel(), child.name(), all.processes));
    }
    co_await scope.join();
    co_return all;
}

}  // namespace mox::moxd
