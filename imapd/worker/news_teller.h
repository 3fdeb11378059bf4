// Tells a session's news as they come, beside a wait for its client: in IDLE (RFC 2177), and between commands since
// NOTIFY (RFC 5465).
//
// It never is cancelled in the middle of a write: the stream would lose its place. Whoever starts one stops it and
// waits for that before anything else is written.
#pragma once

#include "imapd/worker/session.h"

namespace mox::imapd {

class NewsTeller {
  public:
    /// Begins. `session` outlives this.
    NewsTeller(Session& session, Announce what) : session_(session), what_(what) { scope_.spawn(tell()); }
    NewsTeller(const NewsTeller&) = delete;
    NewsTeller& operator=(const NewsTeller&) = delete;

    /// Ends behind what is being written.
    async::Task<void> stop();

  private:
    async::Task<void> tell();
    Session& session_;
    Announce what_;
    bool stop_ = false;
    async::Scope scope_;  // last: its task uses all of the above
};

}  // namespace mox::imapd
