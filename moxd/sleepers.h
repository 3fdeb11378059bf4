// The accounts whose workers sleep: their channels to storaged and their clients' streams, kept until one of them has
// something to say.
//
// moxd reads nothing from them and knows nothing of the states: they were told by the account's worker, and go to its
// next one. Of a descriptor it sees only whether there is something to read, or the end: a session whose client is gone
// is forgotten, and all are when storaged is; neither needs a worker.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/async/loop.h"
#include "proto/supervise.h"

namespace mox::moxd {

/// What one worker left.
struct Rested {
    Fd account_channel;
    std::vector<proto::RestSession> sessions;
    async::Deadline wake_at = async::kNever;

    size_t bytes() const;
};

class Sleepers {
  public:
    /// `wake` is called in the loop, once for each account that has to be woken and is added; it takes it, some time.
    explicit Sleepers(std::function<void(const std::string& account)> wake);
    ~Sleepers();

    void add(const std::string& account, Rested rested);
    /// Nothing when the account does not sleep.
    std::optional<Rested> take(const std::string& account);
    bool has(const std::string& account) const { return accounts_.contains(account); }
    /// Tells the account's clients `* BYE` and the text, and forgets them.
    void end(const std::string& account, std::string_view text);
    /// The same with all.
    void end_all(std::string_view text);

    size_t accounts() const { return accounts_.size(); }
    size_t sessions() const { return sessions_; }
    /// Bytes of the states.
    size_t bytes() const { return bytes_; }

  private:
    /// What made a watch fire, -1 for the clock.
    struct Fired {
        std::string account;
        int fd;
    };
    struct Sleeper;
    async::Task<void> watch(Sleeper& sleeper, int fd);
    async::Task<void> watch_clock(Sleeper& sleeper);
    async::Task<void> attend();
    void look(const Fired& fired);
    void client_gone(Sleeper& sleeper, int fd);

    std::function<void(const std::string&)> wake_;
    std::map<std::string, std::unique_ptr<Sleeper>> accounts_;
    std::deque<Fired> fired_;
    async::Notify fired_event_;
    size_t sessions_ = 0;
    size_t bytes_ = 0;
    async::Scope scope_;
};

}  // namespace mox::moxd
