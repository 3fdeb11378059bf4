// Keeps the suite running: starts the programs, gives each its configuration, joins them by channels, restarts those
// that die and joins them again, hands logged-in sessions to account workers, and ends everything in order.
//
// The invariant: every pair of joined processes that the wiring table names has one channel between them for each use;
// a process is ready after it acknowledged its configuration, and joined then, a front just before: it listens at once.
// Nothing a child says is trusted: what it may ask for stands in proto::ToMoxd, and is checked here again.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "moxd/child.h"
#include "moxd/listeners.h"
#include "moxd/settings.h"
#include "moxd/sleepers.h"
#include "proto/control.h"

namespace mox::moxd {

struct SupervisorOptions {
    std::string program_directory;  // with the programs, or with a folder for each
    bool root = false;              // each child gets its own user and root directory
    bool verbose = false;           // log level debug, whatever the configuration says
};

class Supervisor {
  public:
    Supervisor(SupervisorOptions options, Settings settings);
    ~Supervisor();

    /// Binds and starts everything; an error when a port cannot be had or a user is missing.
    Result<ipc::Done> start();
    /// Waits until the programs behind the fronts have their configuration and their peers. The fronts hold back.
    async::Task<Result<ipc::Done>> wait_for_backends(async::Clock::duration limit);
    /// Lets the fronts listen, and waits until everything is up.
    async::Task<Result<ipc::Done>> open_fronts(async::Clock::duration limit);
    /// Puts new settings in force without dropping a connection; on an error the old ones stay.
    async::Task<Result<ipc::Done>> apply(Settings settings);
    /// Reads the files again and applies them.
    async::Task<Result<ipc::Done>> reload();
    /// Ends all processes: those that ask others first, storaged last; kills what does not end in time.
    async::Task<void> stop();
    /// Ends a process or all of a role; they start again by themselves. Error not_found.
    Result<ipc::Done> restart(const std::string& name);
    void set_log_level(uint8_t level);
    std::vector<proto::ProcessStatus> status() const;

    const Sleepers& sleepers() const { return sleepers_; }
    const Settings& settings() const { return settings_; }
    /// The child of a role that there is one of.
    ipc::Link& link(ipc::Role role);

    // What children may ask; `child` is who.
    async::Task<Result<proto::AllMetrics>> all_metrics();
    async::Task<Result<ipc::Done>> start_session(proto::StartSession session);
    Result<ipc::Done> retire(Child& worker);
    void rest_session(Child& worker, proto::RestSession session);
    Result<ipc::Done> let_sleep(Child& worker, proto::Sleep sleep);
    void stay_awake(Child& worker);
    void peer_lost(Child& client, const proto::PeerLost& lost);

  private:
    struct FromChild;
    struct Entry;
    /// The worker of an account, or a blank one.
    struct Worker {
        std::unique_ptr<Entry> entry;
        std::string account;  // empty: blank
        size_t sessions_coming = 0;
        async::Clock::time_point claimed = {};  // when it got its account
        bool begun = false;                     // and was told so, or is being told
        Told told = {};                         // before it sleeps
        std::optional<Rested> granted = {};     // it was told to end and to leave this
        async::Clock::time_point granted_at = {};
    };

    Entry& add(ipc::Role role, std::string name);
    std::unique_ptr<Entry> make_entry(ipc::Role role, std::string name);
    bool launch(Entry& entry);
    async::Task<void> bring_up(Entry& entry);
    async::Task<void> watch(std::shared_ptr<ipc::Channel> channel, pid_t pid);
    async::Task<void> kill_later(pid_t pid);
    void kill_if_ours(pid_t pid);
    Child& child_of(ipc::Role role);
    async::Task<Result<ipc::Done>> configure(Entry& entry);
    async::Task<void> restart_later(Entry& entry);
    void join(Entry& entry);
    void reap();
    void child_ended(Entry& entry, int wait_status);
    bool backends_ready() const;
    bool all_ready() const;
    async::Task<void> hold_back(async::Deadline deadline);
    size_t alive() const;
    enum class Stage : uint8_t { ask, answer, store };
    static Stage stage_of(ipc::Role role);
    void kill_stubborn(Child& child, Stage stage);
    async::Task<void> end_children(Stage stage, async::Deadline deadline);
    Result<ipc::Done> prepare_directories();
    std::string program_path(ipc::Role role) const;
    proto::LogConfig log_config() const;
    async::Task<void> collect_metrics(std::shared_ptr<ipc::Channel> channel, std::string name,
                                      std::vector<proto::ProcessMetrics>& into);

    // workers.cc
    void worker_ended(pid_t pid, int wait_status);
    Worker* worker_of(const std::string& account);
    Worker* worker_of(const Child& child);
    Worker* claim_worker(const std::string& account);
    async::Task<Result<ipc::Done>> begin_work(std::string account);
    async::Task<void> configure_worker(std::shared_ptr<ipc::Channel> channel, std::string account);
    void wake(const std::string& account);
    async::Task<void> wake_some();
    async::Task<void> wake_one(std::string account);
    async::Task<void> make_blank_worker_soon();
    async::Task<Result<ipc::Done>> wake_worker(std::shared_ptr<ipc::Channel> channel, std::string account);
    async::Task<void> end_if_stuck(std::shared_ptr<ipc::Channel> channel, std::string account);
    async::Task<void> end_granted(pid_t pid, async::Clock::time_point granted_at);
    bool has_room() const;
    bool is_of_front(const Fd& socket);
    void ensure_blank_worker();

    SupervisorOptions options_;
    Settings settings_;
    std::vector<Endpoint> endpoints_;
    uint64_t generation_ = 0;  // of the settings
    Listeners listeners_;
    bool stopping_ = false;
    bool fronts_open_ = false;
    async::Notify changed_;                         // a child ended or became ready
    std::vector<std::unique_ptr<Entry>> children_;  // the fixed ones
    std::vector<Worker> workers_;
    std::vector<std::unique_ptr<Entry>> gone_;  // ended or retiring workers, until the loop is out of their code
    Sleepers sleepers_;
    std::deque<std::string> to_wake_;
    size_t waking_ = 0;  // tasks that take from it
    uint64_t next_worker_ = 1;
    uint32_t worker_failures_ = 0;
    async::Scope scope_;
};

}  // namespace mox::moxd
