// STARTTLS (RFC 3207).
#include "smtpd/session.h"

namespace mox::smtpd {

async::Task<void> cmd_starttls(Session& s, Command command) {
    if (!command.arguments.empty()) {
        s.reply(501, "5.5.4", "STARTTLS takes no argument");
        co_return;
    }
    if (s.has_tls() || s.listener->config.tls != proto::TlsMode::starttls) {
        s.reply(503, "5.5.1", s.has_tls() ? "TLS is active already" : "TLS is not available here");
        co_return;
    }
    // RFC 3207 4.2: what was sent in plain text behind the command must not be taken as sent through TLS.
    if (!s.stream.buffered().empty()) {
        s.reply(501, "5.5.1", "nothing may follow STARTTLS before the handshake");
        s.close();
        co_return;
    }
    s.reply(220, "2.0.0", "go ahead");
    co_await s.stream.flush(async::in(kWriteLimit));
    auto& plain = static_cast<async::SocketTransport&>(s.stream.transport());
    try {
        auto transport = co_await s.listener->tls->accept(plain.release(), async::in(kHandshakeLimit));
        s.use_tls(std::move(transport));
    } catch (const std::exception& e) {
        s.smtpd.counters.starttls_failed++;
        s.log.info("STARTTLS failed", {{"remote", s.remote_address}, {"error", e.what()}});
        throw;
    }
    s.smtpd.counters.starttls++;
    // RFC 3207 4.2: back to the state after the greeting.
    s.hello.clear();
    s.extended = false;
    s.account.clear();
    s.login.clear();
    s.reset_transaction();
}

}  // namespace mox::smtpd
