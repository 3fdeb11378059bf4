// The accounts whose workers sleep: their channels to storaged and their clients' streams, kept until one of them has
// something to say.
//
// moxd reads nothing from them and knows nothing of the states: they were told by the account's worker, and go to its
// next one. Of a descriptor it sees only whether there is something to read, or the end: a session whose client is gone
// is forgotten, and all are when storaged is; neither needs a worker. What a worker tells is bounded here, whatever it
// says; that the descriptors are what it says they are, the caller sees to.
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
    /// Descriptors that are kept for it.
    size_t files() const;
    /// Tells the clients `* BYE` and the text.
    void dismiss(std::string_view text) const;
};

/// What a worker has told so far, before it says that it sleeps.
class Told {
  public:
    /// One more session. When that is too much all of it is dropped, and what follows, up to the next take() or
    /// forget().
    void add(proto::RestSession session);
    /// The same when there is no room for what it tells.
    void drop();
    /// All that was told, and begins anew. Error bad_request when `sleep` speaks of something else.
    Result<Rested> take(proto::Sleep sleep);
    void forget() { *this = {}; }
    const Rested& rested() const { return rested_; }

  private:
    Rested rested_;
    bool too_much_ = false;
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
    /// The account's channel once more; not valid when it does not sleep, or there is no descriptor left.
    Fd duplicate_channel(const std::string& account) const;
    /// Tells the account's clients `* BYE` and the text, and forgets them.
    void end(const std::string& account, std::string_view text);
    /// The same with all.
    void end_all(std::string_view text);

    size_t accounts() const { return accounts_.size(); }
    size_t sessions() const { return sessions_; }
    /// Bytes of the states.
    size_t bytes() const { return bytes_; }
    /// Descriptors.
    size_t files() const { return files_; }

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
    size_t files_ = 0;
    async::Scope scope_;
};

}  // namespace mox::moxd
