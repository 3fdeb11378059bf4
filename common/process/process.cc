#include "common/process/process.h"

#include <csignal>
#include <cstdio>
#include <getopt.h>
#include <sys/stat.h>

#include "common/process/probe.h"

namespace mox::process {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);

/// The descriptor moxd left for us, or nothing when a person started the program.
Fd take_supervision(ipc::Role role) {
    struct stat st{};
    if (fstat(proto::kSuperviseFd, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        fmt::print(stderr, "{} is started by moxd; see moxd(8)\n", ipc::to_string(role));
        std::exit(1);
    }
    return Fd(proto::kSuperviseFd);
}

}  // namespace

Process::Process(ipc::Role role, int argc, char** argv)
    : name_(ipc::to_string(role)), parent_(take_supervision(role), {ipc::Role::moxd, "moxd"}) {
    log::set_program(name_);
    int option = 0;
    while ((option = getopt(argc, argv, "u:d:i:T:t:")) != -1) {
        if (option == 'u')
            identity_.user = optarg;
        else if (option == 'd')
            identity_.directory = optarg;
        else if (option == 'i')
            name_ = optarg;
        else if (option == 'T')
            probe_ = optarg;
        else if (option == 't')
            probe_target_ = optarg;
        else
            std::exit(1);
    }
    log::set_program(name_);
    signal(SIGPIPE, SIG_IGN);
    // Ctrl-C reaches the whole terminal group: moxd alone decides what it means.
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    loop_.on_signal(SIGTERM, [this] { stop(); });
    scope_.spawn(end_with_parent());
}

void Process::confine(const sandbox::Policy& policy) {
    sandbox::enter(policy, identity_);
    if (!probe_.empty()) run_probe(probe_, probe_target_);
}

void Process::stop(int exit_status) {
    exit_status_ = exit_status;
    loop_.stop();
}

void Process::apply(const proto::LogConfig& config) {
    if (config.level < static_cast<uint8_t>(log::Level::kEnd)) log::set_level(static_cast<log::Level>(config.level));
    if (config.format < static_cast<uint8_t>(log::Format::kEnd))
        log::set_format(static_cast<log::Format>(config.format));
}

async::Task<void> Process::end_with_parent() {
    while (!parent_.lost()) co_await parent_.on_lost().wait();
    log::debug("moxd is gone: ending");
    stop();
}

void Common::on(proto::GivePeer message) {
    ipc::PeerId peer{message.role, message.name};
    if (auto found = links_.find(message.role); found != links_.end()) {
        auto channel = std::make_shared<ipc::Channel>(std::move(message.channel), std::move(peer));
        if (auto prepare = prepares_.find(message.role); prepare != prepares_.end()) prepare->second(*channel);
        channel->start();
        found->second->attach(channel);
        scope_.spawn(watch(*found->second, std::move(channel)));
    } else if (auto acceptor = acceptors_.find(message.role); acceptor != acceptors_.end()) {
        acceptor->second(std::move(message.channel), std::move(peer));
    } else {
        log::error("given a channel to a role this program has no use for", {{"role", ipc::to_string(message.role)}});
    }
}

// A peer that ended comes back with a new channel by itself. A channel that broke between two that live does not.
async::Task<void> Common::watch(ipc::Link& link, std::shared_ptr<ipc::Channel> channel) {
    while (!channel->lost()) co_await channel->on_lost().wait();
    for (;;) {
        co_await async::sleep_for(kPatience);
        if (link.channel() != nullptr) co_return;
        report_lost(link.role(), proto::ChannelUse::calls);
    }
}

void Common::on(proto::SetLogLevel message) {
    if (message.level < static_cast<uint8_t>(log::Level::kEnd)) log::set_level(static_cast<log::Level>(message.level));
}

void Common::on(proto::Shutdown) {
    shut_down();
}

Result<proto::Metrics> Common::on(proto::GetMetrics) {
    return proto::Metrics{metrics()};
}

void Common::call(ipc::Link& link, std::function<void(ipc::Channel&)> prepare) {
    links_[link.role()] = &link;
    prepares_[link.role()] = std::move(prepare);
}

void Common::accept(std::vector<ipc::Role> roles, std::function<void(Fd, ipc::PeerId)> accept) {
    for (ipc::Role role : roles) acceptors_[role] = accept;
}

}  // namespace mox::process
