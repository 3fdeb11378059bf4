#include "smtpd/smtpd.h"

#include "smtpd/session.h"

namespace mox::smtpd {

using namespace std::chrono_literals;

namespace {

async::Task<void> run_session(Smtpd& smtpd, front::Accepted connection) {
    Session session(smtpd, std::move(connection));
    co_await session.run();
}

std::string refusal_text(const front::ListenerState& listener, front::Refusal reason) {
    if (listener.config.tls == proto::TlsMode::immediate) return {};
    std::string_view why = reason == front::Refusal::too_many_from_address ? "too many connections from your address"
                                                                           : "too many connections";
    return fmt::format("421 4.7.0 {} {}, try again later\r\n", listener.config.hostname, why);
}

}  // namespace

Smtpd::Smtpd(process::Process& process)
    : Common(process), acceptor_([this](front::Accepted c) { return run_session(*this, std::move(c)); }, refusal_text) {
    tls::use_signer(signer_);
    call(storage);
    call(auth);
    call(dns);
}

Result<ipc::Done> Smtpd::on(proto::ConfigureSmtpd config) {
    process().apply(config.log);
    local_mode_ = config.local_mode == proto::LocalMode::on;
    return acceptor_.configure(std::move(config.listeners), config.certificates);
}

void Smtpd::shut_down() {
    stopping_ = true;
    acceptor_.stop_accepting();
    scope_.spawn(end_when_quiet());
}

// Messages under way get a moment to be finished; a session that only waits for a command does not.
async::Task<void> Smtpd::end_when_quiet() {
    try {
        co_await acceptor_.sessions().join(async::in(2s));
    } catch (const async::DeadlinePassed&) {
        log::debug("sessions cut at shutdown", {{"sessions", acceptor_.connections()}});
    }
    process().stop();
}

std::string Smtpd::metrics() {
    std::string out;
    auto counter = [&](std::string_view name, std::string_view help) {
        out += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", name, help);
    };
    counter("mox_smtpserver_connection_total", "Connections accepted.");
    out += fmt::format("mox_smtpserver_connection_total {}\n", acceptor_.accepted());
    counter("mox_smtpserver_connection_refused_total", "Connections over a bound.");
    out += fmt::format("mox_smtpserver_connection_refused_total {}\n", acceptor_.refused());
    counter("mox_smtpserver_delivery_total", "Messages received, by result.");
    out += fmt::format("mox_smtpserver_delivery_total{{result=\"delivered\"}} {}\n", counters.delivered);
    out += fmt::format("mox_smtpserver_delivery_total{{result=\"delivererror\"}} {}\n", counters.delivery_failed);
    out += fmt::format("mox_smtpserver_delivery_total{{result=\"unknownuser\"}} {}\n", counters.unknown_recipients);
    counter("mox_smtpserver_submission_total", "Messages submitted, by result.");
    out += fmt::format("mox_smtpserver_submission_total{{result=\"ok\"}} {}\n", counters.submitted);
    out += fmt::format("mox_smtpserver_submission_total{{result=\"queueerror\"}} {}\n", counters.submission_failed);
    counter("mox_smtpserver_bytes_total", "Bytes of message content received.");
    out += fmt::format("mox_smtpserver_bytes_total {}\n", counters.bytes);
    counter("mox_smtpserver_delivery_starttls_total", "STARTTLS handshakes, by result.");
    out += fmt::format("mox_smtpserver_delivery_starttls_total{{result=\"ok\"}} {}\n", counters.starttls);
    out += fmt::format("mox_smtpserver_delivery_starttls_total{{result=\"failed\"}} {}\n", counters.starttls_failed);
    out += "# HELP mox_smtpserver_sessions Sessions now.\n# TYPE mox_smtpserver_sessions gauge\n";
    out += fmt::format("mox_smtpserver_sessions {}\n", acceptor_.connections());
    return out;
}

}  // namespace mox::smtpd
