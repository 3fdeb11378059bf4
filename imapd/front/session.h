// A client before its login: greeting, STARTTLS, LOGIN and AUTHENTICATE; and after it the relaying of its bytes.
//
// The front knows the commands of the not authenticated state only. Credentials go to authd, or the fingerprint of the
// client certificate's key, by which it may be logged in before it says anything; with its yes come the account channel
// and the account's name, which go to moxd with one end of a socket pair. From then on the account's worker speaks with
// the client and answers the login command; this end copies bytes and looks at none. RFC 3501 3.1, 6.1, 6.2, 7.1.4, 11;
// 4422 A; 4959; 5802.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/async/stream.h"
#include "common/front/acceptor.h"
#include "common/log/log.h"
#include "imapd/grammar/capabilities.h"
#include "imapd/grammar/command.h"
#include "imapd/grammar/command_reader.h"
#include "proto/auth.h"
#include "proto/supervise.h"

namespace mox::imapd {

/// The other processes, as a session needs them.
class Services {
  public:
    virtual ~Services() = default;
    virtual async::Task<Result<proto::LoggedIn>> login(proto::LoginPlain request) = 0;
    virtual async::Task<Result<proto::ScramChallenge>> scram_start(proto::ScramStart request) = 0;
    virtual async::Task<Result<proto::ScramDone>> scram_finish(proto::ScramFinish request) = 0;
    virtual async::Task<Result<proto::LoggedIn>> login_external(proto::LoginExternal request) = 0;
    virtual async::Task<Result<proto::Done>> start_session(proto::StartSession request) = 0;
};

struct FrontCounters {
    std::map<std::string_view, uint64_t> logins;  // by result
    uint64_t tls_failures = 0;
    size_t relaying = 0;
};

struct FrontLimits {
    async::Clock::duration idle = std::chrono::seconds(60);  // before login
    async::Clock::duration handshake = std::chrono::seconds(60);
    async::Clock::duration write = std::chrono::minutes(5);
    async::Clock::duration relay = std::chrono::minutes(35);   // the worker logs out after 30
    async::Clock::duration penalty = std::chrono::seconds(1);  // for each failed login above the third
    int max_failures = 10;
};

class FrontSession {
  public:
    /// `services` and `counters` outlive the session.
    FrontSession(front::Accepted accepted, Services& services, FrontCounters& counters, FrontLimits limits = {});

    /// Serves the connection to its end; throws nothing.
    async::Task<void> run();

  private:
    enum class Outcome : uint8_t { stay, close, relay };

    async::Task<void> serve();
    void use_tls(std::unique_ptr<tls::TlsTransport> transport);
    async::Task<Outcome> greet();
    async::Task<Outcome> run_command(RawCommand raw);
    async::Task<Outcome> dispatch(const Command& command);
    void language(const Command& command);
    async::Task<Outcome> start_tls(const Command& command);
    async::Task<Outcome> log_in(const Command& command);
    async::Task<Outcome> authenticate(const Command& command);
    async::Task<Outcome> plain(const Command& command, std::optional<std::string> initial);
    async::Task<Outcome> scram(const Command& command, std::optional<std::string> initial);
    async::Task<Outcome> external(const Command& command, std::optional<std::string> initial);
    async::Task<Outcome> check_password(const Command& command, std::string user, std::string password);
    async::Task<Outcome> failed(const Command& command, Error error);
    async::Task<Outcome> hand_over(const Command& command, proto::LoggedIn logged_in);
    /// To a worker; false when none can be had. With an empty tag it greets.
    async::Task<bool> start_worker(std::string tag, proto::LoggedIn logged_in);
    /// The client's next SASL message, decoded; `initial` stands for the first. Nothing when the command was answered.
    async::Task<std::optional<std::string>> sasl_message(const Command& command, std::optional<std::string> initial,
                                                         std::string challenge);
    async::Task<Outcome> relay();
    async::Task<void> say_last_words(std::string text);

    bool may_log_in() const;
    bool offers_plus() const;
    Reuse reuse() const;
    std::string capabilities() const;
    proto::LoginContext context() const;
    void reply(const Command& command, std::string_view text);
    void bye(std::string_view text);
    async::Task<void> flush();

    front::Accepted accepted_;
    Services& services_;
    FrontCounters& counters_;
    FrontLimits limits_;
    log::Logger log_;
    std::optional<async::Stream> stream_;
    std::optional<async::Stream> worker_;
    std::optional<async::Stream> hand_back_;  // how the worker gives the client back
    bool tls_ = false;
    std::string peer_key_;  // of the client's certificate, see tls::TlsTransport::peer_key()
    bool first_ = true;     // no command has been understood yet
    int failures_ = 0;
};

}  // namespace mox::imapd
