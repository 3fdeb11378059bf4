// One SMTP or submission session: its state and its conversation. Each command is in a file of its own (cmd_*.cc).
//
// The state is what RFC 5321 says it is: the hello, whether TLS is on, who is logged in, and the transaction under way.
// Replies are collected and go out when the client waits for them. A peer that is gone or too slow ends the session by
// an exception, caught in run().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/front/acceptor.h"
#include "common/log/log.h"
#include "smtpd/command.h"
#include "smtpd/smtpd.h"

namespace mox::smtpd {

// RFC 5321 4.5.3.1.4 asks for 512 bytes of command line; parameters and AUTH (RFC 4954 section 4) need more.
constexpr size_t kMaxLine = 12288;
constexpr size_t kMaxRecipients = 1000;  // RFC 5321 4.5.3.1.8: at least 100; announced by LIMITS (RFC 9422)
constexpr int kMaxErrors = 20;           // replies of 5xx before the session is ended
constexpr int kMaxReceived = 100;        // RFC 5321 6.3
constexpr auto kCommandLimit = std::chrono::minutes(5);    // RFC 5321 4.5.3.2.7
constexpr auto kDataBlockLimit = std::chrono::minutes(3);  // RFC 5321 4.5.3.2.5
constexpr auto kDataLimit = std::chrono::hours(1);
constexpr auto kHandshakeLimit = std::chrono::seconds(60);
constexpr auto kWriteLimit = std::chrono::minutes(5);
constexpr auto kPeerLimit = std::chrono::seconds(30);  // for answers of the other processes

struct Recipient {
    mail::Path path;
    std::string text;  // as in the envelope, without brackets
    proto::ResolvedAddress resolved;
};

/// A mail transaction (RFC 5321 3.3), from MAIL on.
struct Transaction {
    std::string mail_from;  // without brackets; empty for <>
    MailParameters parameters;
    std::vector<Recipient> recipients;
};

class Session {
  public:
    Session(Smtpd& smtpd, front::Accepted connection);
    async::Task<void> run();

    // For the commands.

    /// Adds a reply; `enhanced` is the code of RFC 3463, empty for none. Lines of `text` are separated by LF.
    void reply(int code, std::string_view enhanced, std::string_view text);
    /// The reply for an error of another process: 4xx or 5xx by its persistence, in words for people.
    void reply_error(const Error& error);
    /// Reads a line of a SASL exchange; nothing when the client gave up with "*".
    async::Task<std::optional<std::string>> ask(std::string challenge);
    /// The handshake is done.
    void use_tls(std::unique_ptr<tls::TlsTransport> transport);
    /// Ends the session after the replies so far.
    void close() { closing = true; }
    void reset_transaction() { transaction.reset(); }
    bool is_submission() const { return listener->config.service != proto::Service::smtp; }
    bool has_tls() const { return !tls_version.empty(); }
    /// What is offered in answer to EHLO and accepted by AUTH: passwords only through TLS, unless the listener says
    /// otherwise.
    bool may_authenticate() const;
    const proto::ChannelBinding& binding() const;
    bool offers_plus() const { return has_tls() && !binding().type.empty(); }

    Smtpd& smtpd;
    std::shared_ptr<front::ListenerState> listener;
    async::Stream stream;
    std::string remote_address;
    std::string local_address;
    uint64_t cid;
    log::Logger log;

    std::string hello;        // argument of EHLO or HELO; empty: none yet
    bool extended = false;    // EHLO
    std::string tls_version;  // empty without TLS
    std::string tls_cipher;
    std::string peer_key;  // of the client's certificate, see tls::TlsTransport::peer_key()
    std::string account;   // logged in, on submission
    std::string login;
    int failed_logins = 0;
    std::optional<Transaction> transaction;
    bool closing = false;

  private:
    async::Task<void> converse();
    async::Task<void> start_tls_at_once();
    async::Task<bool> next_command();
    async::Task<void> dispatch(std::string_view line);
    async::Task<void> flush_when_idle();
    int errors_ = 0;
    bool first_ = true;
};

// One command a file. `arguments` is what follows the verb.
async::Task<void> cmd_hello(Session& s, Command command);
async::Task<void> cmd_starttls(Session& s, Command command);
async::Task<void> cmd_auth(Session& s, Command command);
async::Task<void> cmd_mail(Session& s, Command command);
async::Task<void> cmd_rcpt(Session& s, Command command);
async::Task<void> cmd_data(Session& s, Command command);
async::Task<void> cmd_simple(Session& s, Command command);  // RSET NOOP VRFY EXPN HELP QUIT

/// Local mode: waits or replies as the address asks for at this stage (common/text/magic.h); true when it did.
async::Task<bool> answer_magic(Session& s, std::string localpart, text::MagicStage stage);

}  // namespace mox::smtpd
