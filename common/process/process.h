// What every child of moxd is made of: its arguments, its event loop, its channel to moxd, and the messages that all
// children answer alike. A program's main is then: its policy, its object, serve, run.
//
//     int main(int argc, char** argv) {
//         process::Process process(Role::dnsd, argc, argv);
//         process.confine({.network = Network::connect});
//         Dnsd dnsd(process);
//         return process.run(proto::ToDnsd{}, dnsd);
//     }
//
// A child that loses moxd ends: without its parent it has no business.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "common/log/log.h"
#include "common/sandbox/sandbox.h"
#include "proto/supervise.h"

namespace mox::process {

class Process {
  public:
    /// Reads the arguments (-u user, -d directory, -i name; -T and -t for tests of the sandbox) and takes the
    /// supervision descriptor. A person who starts a child by hand is told to start moxd.
    Process(ipc::Role role, int argc, char** argv);

    /// Enters the sandbox; see sandbox::enter.
    void confine(const sandbox::Policy& policy);

    /// Serves moxd and runs the loop until shutdown; the exit status of main.
    template <class List, class Program>
    int run(List messages, Program& program) {
        parent_.serve(messages, program);
        parent_.start();
        loop_.run();
        return exit_status_;
    }

    /// Ends the loop.
    void stop(int exit_status = 0);

    async::Loop& loop() { return loop_; }
    ipc::Channel& parent() { return parent_; }
    const std::string& name() const { return name_; }
    void apply(const proto::LogConfig& config);

  private:
    async::Task<void> end_with_parent();
    std::string name_;
    sandbox::Identity identity_;
    std::string probe_;  // a test of the sandbox: see probe.h
    std::string probe_target_;
    async::Loop loop_;
    int exit_status_ = 0;
    ipc::Channel parent_;
    async::Scope scope_;
};

/// Answers the messages that all children share. Derive a program from it and add `using Common::on;`.
class Common {
  public:
    explicit Common(Process& process) : process_(process) {}
    virtual ~Common() = default;

    void on(proto::GivePeer message);
    void on(proto::SetLogLevel message);
    void on(proto::Shutdown);
    Result<proto::Metrics> on(proto::GetMetrics);

  protected:
    /// The program calls peers of this role: their channels go to `link`, which outlives this object.
    void call(ipc::Link& link) { links_[link.role()] = &link; }
    /// As call(), but `link` also serves what that peer sends of its own accord; `prepare` gets the channel before
    /// start.
    void call(ipc::Link& link, std::function<void(ipc::Channel&)> prepare);
    /// The program serves peers of these roles: `accept` gets each new channel, serves and starts it.
    void accept(std::vector<ipc::Role> roles, std::function<void(Fd, ipc::PeerId)> accept);
    /// What the program does before it ends; by default it ends at once.
    virtual void shut_down() { process_.stop(); }
    /// Prometheus lines of this program.
    virtual std::string metrics() { return {}; }

    Process& process() { return process_; }
    /// There is no channel to a peer that works: moxd is asked for another.
    void report_lost(ipc::Role peer, proto::ChannelUse use) { process_.parent().send(proto::PeerLost{peer, use}); }

  private:
    async::Task<void> watch(ipc::Link& link, std::shared_ptr<ipc::Channel> channel);
    Process& process_;
    std::map<ipc::Role, ipc::Link*> links_;
    std::map<ipc::Role, std::function<void(ipc::Channel&)>> prepares_;
    std::map<ipc::Role, std::function<void(Fd, ipc::PeerId)>> acceptors_;
    async::Scope scope_;
};

/// The channels of peers that this program serves, each with a handler object of its own. Both go when the channel is
/// lost.
template <class Handler>
class Served {
  public:
    template <class List>
    void add(Fd socket, ipc::PeerId peer, List messages, std::unique_ptr<Handler> handler) {
        auto entry = std::make_unique<Entry>(std::move(handler), std::move(socket), std::move(peer));
        Entry& e = *entry;
        entries_.push_back(std::move(entry));
        e.channel.serve(messages, *e.handler);
        e.channel.start();
        scope_.spawn(remove_when_lost(e));
    }
    /// For each handler that is still connected.
    template <class F>
    void for_each(F f) {
        for (auto& e : entries_)
            if (!e->channel.lost()) f(*e->handler, e->channel);
    }
    size_t size() const { return entries_.size(); }
    void close_all(std::string_view reason) {
        for (auto& e : entries_) e->channel.close(reason);
    }

  private:
    struct Entry {
        std::unique_ptr<Handler> handler;
        ipc::Channel channel;
        Entry(std::unique_ptr<Handler> h, Fd socket, ipc::PeerId peer)
            : handler(std::move(h)), channel(std::move(socket), std::move(peer)) {}
    };
    async::Task<void> remove_when_lost(Entry& entry) {
        while (!entry.channel.lost()) co_await entry.channel.on_lost().wait();
        std::erase_if(entries_, [&](const auto& e) { return e.get() == &entry; });
    }
    std::vector<std::unique_ptr<Entry>> entries_;
    async::Scope scope_;
};

}  // namespace mox::process
