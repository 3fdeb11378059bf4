// One child process: started by fork and exec, watched, its supervision channel.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "common/ipc/channel.h"

namespace mox::moxd {

/// What moxd tells a program in its arguments.
struct ChildSpec {
    ipc::Role role;
    std::string name;       // unique: the role, with a number or account where there are several
    std::string program;    // path
    std::string user;       // empty when moxd is not root
    std::string directory;  // the child's root directory, empty for the default
};

class Child {
  public:
    explicit Child(ChildSpec spec) : spec_(std::move(spec)) {}

    /// Starts the process; its supervision channel is not started yet, so that the caller can serve it first. False,
    /// with a log line, when there is no memory or no program.
    bool spawn();
    /// The process has ended: forgets it and its channel.
    void ended();
    void kill(int signal_number) const;

    const ChildSpec& spec() const { return spec_; }
    const std::string& name() const { return spec_.name; }
    pid_t pid() const { return pid_; }
    bool running() const { return pid_ > 0; }
    /// It has acknowledged its configuration.
    bool ready = false;
    /// It has channels to all peers that are joined.
    bool joined = false;
    /// When a channel that had broken was last made anew, by the role of the server.
    std::map<ipc::Role, async::Clock::time_point> rejoined;
    /// The link to the child; calls fail while it is down.
    ipc::Link& link() { return link_; }
    std::shared_ptr<ipc::Channel> channel() { return channel_; }

    async::Clock::time_point started{};
    uint32_t restarts = 0;
    std::chrono::milliseconds backoff{0};

  private:
    ChildSpec spec_;
    pid_t pid_ = -1;
    std::shared_ptr<ipc::Channel> channel_;
    ipc::Link link_{spec_.role};
};

}  // namespace mox::moxd
