// Sessions with servers that have taken a message and may take another: kept open for a moment.
//
// A session is lent to one attempt at a time. It is ended when nobody has asked for it for a while, when it has carried
// many messages or grown old, and when the configuration changes. RFC 5321 3.3: a session may have any number of
// transactions.
#pragma once

#include <compare>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "common/async/loop.h"
#include "common/smtp/client.h"

namespace mox::queued {

constexpr size_t kMaxKeptSessions = 100;
constexpr auto kSessionIdle = std::chrono::seconds(2);
constexpr auto kSessionAge = std::chrono::minutes(5);
constexpr size_t kSessionMessages = 100;

/// A server to try, and how.
struct Host {
    std::string name;  // or an address
    uint16_t port = 25;
    smtp::ClientTls tls = smtp::ClientTls::opportunistic;
    tls::Verify verify = tls::Verify::none;
    std::string username;
    std::string password;

    friend bool operator==(const Host&, const Host&) = default;
};

struct OpenSession {
    std::unique_ptr<smtp::Client> client;  // usable
    async::Deadline until = async::in(kSessionAge);
    size_t messages = 0;
};

class Sessions {
  public:
    /// One with this server, if there is one. It may have been closed by the server meanwhile.
    std::optional<OpenSession> take(const Host& host);
    /// Keeps a session for others, or ends it when it cannot serve any more.
    void give(const Host& host, OpenSession session);
    /// Ends all that nobody uses.
    void end_all();

  private:
    struct Kept {
        Host host;
        OpenSession session;
        async::Deadline idle_until;
    };
    async::Task<void> watch();
    void end(OpenSession session);

    std::list<Kept> kept_;  // the one kept longest first
    bool watching_ = false;
    async::Scope scope_;  // last: its tasks use all of the above
};

}  // namespace mox::queued
