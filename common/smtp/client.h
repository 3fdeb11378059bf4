// The sending side of an SMTP connection: greeting, EHLO, STARTTLS, AUTH, and then messages.
//
// Owns the connected socket. open() makes the session ready, send() hands over one message and says for each recipient
// what became of it, quit() ends politely. No exception leaves these; a connection that broke is not usable() any more.
// The content is streamed from a prefix and a file in pieces, so memory does not depend on its size. Pipelined where
// the server allows it. What the server cannot take (8-bit content, internationalised addresses, size) is refused
// before it is sent. RFCs: 5321, 2920, 3207, 4954, 6152, 6531, 1870, 9422. Timeouts: 5321 4.5.3.2.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/async/stream.h"
#include "common/log/log.h"
#include "common/smtp/outcome.h"
#include "common/smtp/reply.h"
#include "common/tls/context.h"

namespace mox::smtp {

enum class ClientTls : uint8_t {
    none,           // plain text, whatever the server offers
    opportunistic,  // STARTTLS when offered
    starttls,       // STARTTLS, or no mail
    immediate,      // TLS before the greeting (RFC 8314 3.3)
    kEnd
};

/// How long a server may take, RFC 5321 4.5.3.2.
struct Timeouts {
    std::chrono::milliseconds greeting = std::chrono::minutes(5);  // 4.5.3.2.1
    std::chrono::milliseconds handshake = std::chrono::minutes(1);
    std::chrono::milliseconds command = std::chrono::minutes(5);     // MAIL, RCPT: 4.5.3.2.2, 4.5.3.2.3
    std::chrono::milliseconds data = std::chrono::minutes(2);        // 4.5.3.2.4
    std::chrono::milliseconds block = std::chrono::minutes(3);       // 4.5.3.2.5
    std::chrono::milliseconds final_dot = std::chrono::minutes(10);  // 4.5.3.2.6
    std::chrono::milliseconds quit = std::chrono::seconds(5);
};

struct ClientOptions {
    std::string hostname;     // ours, for EHLO
    std::string remote_name;  // of the server: SNI, verification, logs
    std::string remote_address;
    ClientTls tls = ClientTls::opportunistic;
    tls::Verify verify = tls::Verify::none;
    std::string ca_pem;
    std::string username;  // empty: no AUTH
    std::string password;
    Timeouts timeouts;
    async::Deadline give_up = async::kNever;  // for the connection as a whole
};

/// A message for recipients of one server.
struct Mail {
    std::string mail_from;                // without brackets, empty: null reverse path
    std::vector<std::string> recipients;  // without brackets
    std::string prefix;                   // header lines in front of the file
    int file = -1;                        // read by position from 0 to its end; outlives send()
    uint64_t file_size = 0;
    bool has_8bit = false;
    bool needs_smtputf8 = false;
};

class Client {
  public:
    Client(Fd socket, ClientOptions options, log::Logger log);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Up to the point where mail can be sent; what went wrong, or nothing.
    async::Task<std::optional<Outcome>> open();
    /// One outcome for each recipient, in order.
    async::Task<std::vector<Outcome>> send(Mail mail);
    /// For a session that was kept open after a message: the limits and the log of the next.
    void resume(async::Deadline give_up, log::Logger log);
    /// Says goodbye; never fails and takes not long.
    async::Task<void> quit();

    /// Whether another send() makes sense.
    bool usable() const { return ready_ && !broken_; }
    /// Whether the session ended before the server said anything to the last send(), other than that it ends: then
    /// nothing was tried.
    bool unheard() const { return broken_ && !heard_; }
    const Extensions& extensions() const { return extensions_; }
    /// "TLSv1.3", empty in plain text.
    const std::string& tls_version() const { return tls_version_; }

  private:
    /// The conversation cannot go on, and why.
    struct Failed {
        Outcome outcome;
    };
    using Span = std::chrono::milliseconds;

    async::Task<void> prepare();
    async::Task<void> greet();
    async::Task<void> hello();
    async::Task<void> start_tls();
    async::Task<void> handshake(Fd socket);
    async::Task<void> authenticate();
    async::Task<Reply> login();

    std::optional<Outcome> refuse(const Mail& mail) const;
    std::string mail_command(const Mail& mail) const;
    async::Task<void> transact(const Mail& mail, std::vector<std::optional<Outcome>>& outcomes);
    async::Task<bool> envelope(const Mail& mail, std::vector<std::optional<Outcome>>& outcomes);
    async::Task<void> content(const Mail& mail);

    async::Task<Reply> command(std::string line, Span span);
    async::Task<Reply> read_reply(Span span);
    async::Task<void> flush(Span span);
    async::Deadline deadline(Span span) const;
    [[noreturn]] void fail(Outcome outcome);
    Outcome named(Outcome outcome) const;
    Outcome from_exception(const std::exception& e) const;

    ClientOptions options_;
    log::Logger log_;
    std::unique_ptr<async::Stream> stream_;
    Fd socket_;  // until open()
    Extensions extensions_;
    std::string tls_version_;
    std::string stage_ = "connecting";
    bool ready_ = false;
    bool broken_ = false;
    bool heard_ = false;           // the server has answered to the last send()
    bool in_transaction_ = false;  // MAIL was accepted and not completed
    bool fresh_tls_ = false;       // no reply has come through TLS yet
    bool uncertain_ = false;       // the final dot is out and not answered
};

}  // namespace mox::smtp
