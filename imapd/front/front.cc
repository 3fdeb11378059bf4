#include "imapd/front/front.h"

namespace mox::imapd {
namespace {

constexpr std::chrono::seconds kLoginLimit{30};   // authd slows failures down and hashes passwords
constexpr std::chrono::seconds kPreauthLimit{3};  // the client hears nothing until then
constexpr std::chrono::seconds kStartLimit{35};   // longer than all that moxd and the worker have for it
constexpr std::chrono::milliseconds kGoodbye{2500};

std::string refusal_text(const front::ListenerState& listener, front::Refusal reason) {
    if (listener.config.tls == proto::TlsMode::immediate) return {};
    return reason == front::Refusal::shutting_down ? "* BYE server is shutting down\r\n"
                                                   : "* BYE [UNAVAILABLE] too many connections\r\n";
}

}  // namespace

Front::Front(process::Process& process)
    : Common(process),
      acceptor_([this](front::Accepted accepted) { return serve(std::move(accepted)); }, refusal_text) {
    call(authd_);
    tls::use_signer(signer_);
}

Result<proto::Done> Front::on(proto::ConfigureImapd message) {
    process().apply(message.log);
    return acceptor_.configure(std::move(message.listeners), message.certificates);
}

async::Task<void> Front::serve(front::Accepted accepted) {
    FrontSession session(std::move(accepted), *this, counters_);
    co_await session.run();
}

async::Task<Result<proto::LoggedIn>> Front::login(proto::LoginPlain request) {
    return authd_.call(std::move(request), kLoginLimit);
}

async::Task<Result<proto::ScramChallenge>> Front::scram_start(proto::ScramStart request) {
    return authd_.call(std::move(request), kLoginLimit);
}

async::Task<Result<proto::ScramDone>> Front::scram_finish(proto::ScramFinish request) {
    return authd_.call(std::move(request), kLoginLimit);
}

async::Task<Result<proto::LoggedIn>> Front::login_external(proto::LoginExternal request) {
    auto limit = request.use == proto::ExternalUse::preauth ? kPreauthLimit : kLoginLimit;
    return authd_.call(std::move(request), limit);
}

async::Task<Result<proto::Done>> Front::start_session(proto::StartSession request) {
    return process().parent().call(std::move(request), async::in(kStartLimit));
}

// Sessions after login end by their workers' BYE, which this process still relays.
void Front::shut_down() {
    acceptor_.stop_accepting();
    scope_.spawn(end_soon());
}

async::Task<void> Front::end_soon() {
    async::Deadline deadline = async::in(kGoodbye);
    while (counters_.relaying > 0 && async::Clock::now() < deadline)
        co_await async::sleep_for(std::chrono::milliseconds(20));
    process().stop();
}

std::string Front::metrics() {
    std::string out =
        fmt::format("mox_imap_connections_total {}\nmox_imap_connections_refused_total {}\nmox_imap_connections {}\n",
                    acceptor_.accepted(), acceptor_.refused(), acceptor_.connections());
    out += fmt::format("mox_imap_tls_failures_total {}\n", counters_.tls_failures);
    for (const auto& [result, count] : counters_.logins)
        out += fmt::format("mox_imap_logins_total{{result=\"{}\"}} {}\n", result, count);
    return out;
}

}  // namespace mox::imapd
