#include "smtpd/session.h"

#include <array>
#include <utility>

namespace mox::smtpd {

namespace {

using Handler = async::Task<void> (*)(Session&, Command);
struct Entry {
    std::string_view verb;
    Handler handler;
};
constexpr std::array kCommands = {
    Entry{"EHLO", cmd_hello},  Entry{"HELO", cmd_hello},  Entry{"STARTTLS", cmd_starttls}, Entry{"AUTH", cmd_auth},
    Entry{"MAIL", cmd_mail},   Entry{"RCPT", cmd_rcpt},   Entry{"DATA", cmd_data},         Entry{"RSET", cmd_simple},
    Entry{"NOOP", cmd_simple}, Entry{"VRFY", cmd_simple}, Entry{"EXPN", cmd_simple},       Entry{"HELP", cmd_simple},
    Entry{"QUIT", cmd_simple},
};

}  // namespace

Session::Session(Smtpd& program, front::Accepted connection)
    : smtpd(program),
      listener(std::move(connection.listener)),
      stream(std::make_unique<async::SocketTransport>(std::move(connection.socket))),
      remote_address(std::move(connection.remote_address)),
      local_address(std::move(connection.local_address)),
      cid(connection.cid),
      log(connection.cid) {}

async::Task<void> Session::run() {
    log.debug("connection", {{"listener", listener->config.name}, {"remote", remote_address}});
    std::string why = "quit";
    try {
        if (listener->config.tls == proto::TlsMode::immediate) co_await start_tls_at_once();
        co_await converse();
    } catch (const async::DeadlinePassed&) {
        why = "timeout";
        // RFC 5321 3.8: a server that gives up says 421.
        stream.write("421 4.4.2 timeout, closing\r\n");
    } catch (const async::ConnectionLost& e) {
        why = e.what();
    }
    try {
        co_await stream.flush(async::in(std::chrono::seconds(5)));
        stream.close_write();
    } catch (const std::exception&) {
        // Best effort: the peer may be gone.
    }
    log.debug("connection ended", {{"why", why}});
}

async::Task<void> Session::start_tls_at_once() {
    auto& plain = static_cast<async::SocketTransport&>(stream.transport());
    auto transport = co_await listener->tls->accept(plain.release(), async::in(kHandshakeLimit));
    use_tls(std::move(transport));
}

void Session::use_tls(std::unique_ptr<tls::TlsTransport> transport) {
    tls_version = transport->version();
    tls_cipher = transport->cipher();
    peer_key = transport->peer_key();
    stream.replace_transport(std::move(transport));
}

async::Task<void> Session::converse() {
    reply(220, "", listener->config.hostname + " ESMTP mox");
    while (co_await next_command()) {
    }
}

// Replies to pipelined commands go out together: when no whole command is waiting in the buffer (RFC 2920 3.2).
async::Task<void> Session::flush_when_idle() {
    bool more = stream.buffered().find("\r\n") != std::string_view::npos;
    if (!more || stream.pending_output() > 16384) co_await stream.flush(async::in(kWriteLimit));
}

async::Task<bool> Session::next_command() {
    co_await flush_when_idle();
    if (smtpd.stopping()) {
        reply(421, "4.3.2", "shutting down");
        co_return false;
    }
    auto line = co_await stream.read_line(kMaxLine, async::in(kCommandLimit));
    if (line.end == async::LineEnd::too_long) {
        reply(500, "5.5.2", fmt::format("line longer than {} bytes", kMaxLine));
        co_return false;
    }
    co_await dispatch(line.text);
    if (errors_ > kMaxErrors) {
        reply(421, "4.7.0", "too many errors");
        co_return false;
    }
    co_return !closing;
}

async::Task<void> Session::dispatch(std::string_view line) {
    bool first = std::exchange(first_, false);
    auto parsed = parse_command(line);
    const Entry* entry = nullptr;
    if (parsed)
        for (const Entry& e : kCommands)
            if (e.verb == parsed->verb) entry = &e;
    if (entry == nullptr) {
        reply(500, parsed ? "5.5.1" : "5.5.2", first ? "please try again speaking SMTP" : "command not known");
        // HTTP and scanners: what follows is not for us either.
        if (first) close();
        co_return;
    }
    // The view is into the input buffer, which the command may read on.
    std::string arguments(parsed->arguments);
    co_await entry->handler(*this, {std::move(parsed->verb), arguments});
}

void Session::reply(int code, std::string_view enhanced, std::string_view text) {
    if (code >= 500) errors_++;
    log.trace("reply", {{"code", code}, {"text", text}});
    for (;;) {
        size_t end = text.find('\n');
        bool last = end == std::string_view::npos;
        stream.write(fmt::format("{}{}{}{}", code, last ? ' ' : '-', enhanced, enhanced.empty() ? "" : " "));
        stream.write(text.substr(0, end));
        stream.write("\r\n");
        if (last) return;
        text.remove_prefix(end + 1);
    }
}

void Session::reply_error(const Error& error) {
    bool temporary = error.is_temporary();
    std::string_view enhanced = temporary ? "4.3.0" : "5.3.0";
    if (error.code == ErrorCode::over_quota) enhanced = temporary ? "4.2.2" : "5.2.2";
    if (error.code == ErrorCode::no_space) enhanced = temporary ? "4.3.1" : "5.3.1";
    int code = temporary ? 451 : 554;
    if (temporary && (error.code == ErrorCode::over_quota || error.code == ErrorCode::no_space)) code = 452;
    reply(code, enhanced, error.text.empty() ? "local problem, try again later" : error.text);
}

async::Task<std::optional<std::string>> Session::ask(std::string challenge) {
    reply(334, "", challenge);
    co_await stream.flush(async::in(kWriteLimit));
    auto line = co_await stream.read_line(kMaxLine, async::in(kCommandLimit));
    if (line.end == async::LineEnd::too_long) throw async::ConnectionLost("SASL response too long");
    // RFC 4954 4: "*" cancels.
    if (line.text == "*") co_return std::nullopt;
    co_return std::string(line.text);
}

bool Session::may_authenticate() const {
    return is_submission() && (has_tls() || listener->config.insecure_auth == proto::InsecureAuth::allow);
}

const proto::ChannelBinding& Session::binding() const {
    static const proto::ChannelBinding none;
    return has_tls() && listener->tls ? listener->tls->binding() : none;
}

async::Task<bool> answer_magic(Session& s, std::string localpart, text::MagicStage stage) {
    auto magic = s.smtpd.local_mode() ? text::parse_magic(localpart) : std::nullopt;
    if (!magic || magic->stage != stage) co_return false;
    if (magic->code == 0) {
        co_await async::sleep_for(std::chrono::hours(1));
        throw async::DeadlinePassed();
    }
    s.reply(magic->code, magic->code < 500 ? "4.3.0" : "5.3.0", "local mode: this address asks for an error");
    co_return true;
}

}  // namespace mox::smtpd
