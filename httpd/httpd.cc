#include "httpd/httpd.h"

#include <ctime>

namespace mox::httpd {
namespace {

using namespace std::chrono_literals;

constexpr auto kHandshakeLimit = 15s;
constexpr auto kMetricsLimit = 5s;
constexpr size_t kMaxMetricsCalls = 8;  // at a time

std::string refusal_text(const front::ListenerState& listener, front::Refusal) {
    if (listener.config.tls == proto::TlsMode::immediate) return {};
    return format_response(status_page(503), Method::get, After::close, std::time(nullptr));
}

}  // namespace

Httpd::Httpd(process::Process& process)
    : Common(process),
      source_([this] { return ask_for_metrics(); }),
      acceptor_([this](front::Accepted connection) { return session(std::move(connection)); }, refusal_text) {
    tls::use_signer(signer_);
}

Result<ipc::Done> Httpd::on(proto::ConfigureHttpd message) {
    process().apply(message.log);
    return acceptor_.configure(std::move(message.listeners), message.certificates);
}

void Httpd::on(proto::GiveSigner message) {
    signer_.attach(std::move(message.channel));
}

async::Task<void> Httpd::session(front::Accepted connection) {
    log::Logger log(connection.cid);
    const auto& config = connection.listener->config;
    log.debug("connection", {{"remote", connection.remote_address}, {"service", to_string(config.service)}});
    try {
        std::unique_ptr<async::Transport> transport;
        if (config.tls == proto::TlsMode::immediate)
            transport =
                co_await connection.listener->tls->accept(std::move(connection.socket), async::in(kHandshakeLimit));
        else
            transport = std::make_unique<async::SocketTransport>(std::move(connection.socket));
        async::Stream stream(std::move(transport));
        co_await serve(stream, config.service, source_, counts_, log);
    } catch (const std::exception& e) {
        log.debug("connection ended", {{"reason", e.what()}});
    }
}

async::Task<Result<proto::AllMetrics>> Httpd::ask_for_metrics() {
    if (metrics_calls_ >= kMaxMetricsCalls) co_return temporary(ErrorCode::busy, "too many at once");
    struct Counted {
        size_t& count;
        explicit Counted(size_t& c) : count(c) { count++; }
        ~Counted() { count--; }
    } counted(metrics_calls_);
    co_return co_await process().parent().call(proto::GetAllMetrics{}, async::in(kMetricsLimit));
}

std::string Httpd::metrics() {
    std::string out = counts_.text();
    out += fmt::format(
        "# HELP mox_http_connections_total Connections accepted.\n"
        "# TYPE mox_http_connections_total counter\n"
        "mox_http_connections_total {}\n"
        "# HELP mox_http_connections_refused_total Connections over a limit.\n"
        "# TYPE mox_http_connections_refused_total counter\n"
        "mox_http_connections_refused_total {}\n"
        "# HELP mox_http_connections Connections open.\n"
        "# TYPE mox_http_connections gauge\n"
        "mox_http_connections {}\n",
        acceptor_.accepted(), acceptor_.refused(), acceptor_.connections());
    return out;
}

}  // namespace mox::httpd
