#include "imapd/front/session.h"

#include "common/ipc/channel.h"
#include "imapd/front/relay.h"
#include "imapd/grammar/language.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxLine = 8 * 1024;
constexpr size_t kMaxLiteral = 1024;
constexpr size_t kMaxLiterals = 4 * 1024;
constexpr size_t kMaxPending = 16 * 1024;  // handed over with a session

}  // namespace

FrontSession::FrontSession(front::Accepted accepted, Services& services, FrontCounters& counters, FrontLimits limits)
    : accepted_(std::move(accepted)), services_(services), counters_(counters), limits_(limits), log_(accepted_.cid) {}

bool FrontSession::may_log_in() const {
    return has_tls() || accepted_.listener->config.insecure_auth == proto::InsecureAuth::allow;
}

bool FrontSession::offers_plus() const {
    return has_tls() && !accepted_.listener->tls->binding().data.empty();
}

std::string FrontSession::capabilities() const {
    std::string out = imapd::capabilities(
        {accepted_.listener->config.max_message_size, accepted_.listener->config.message_limit, reuse()});
    if (!has_tls() && accepted_.listener->tls != nullptr) out += " STARTTLS";
    if (!may_log_in()) return out + " LOGINDISABLED";  // RFC 3501 6.2.3
    if (!peer_key_.empty()) out += " AUTH=EXTERNAL";
    if (offers_plus()) out += " AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS";
    return out + " AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN";
}

Reuse FrontSession::reuse() const {
    return accepted_.listener->config.unauthenticate == proto::Unauthenticate::allow ? Reuse::allowed : Reuse::refused;
}

proto::LoginContext FrontSession::context(proto::LoginMechanism mechanism) const {
    return {proto::LoginProtocol::imap,
            accepted_.remote_address,
            accepted_.cid,
            proto::login_tls(tls_version_),
            mechanism,
            client_};
}

void FrontSession::reply(const Command& command, std::string_view text) {
    stream_->write(command.tag);
    stream_->write(" ");
    stream_->write(text);
    stream_->write("\r\n");
}

void FrontSession::bye(std::string_view text) {
    stream_->write("* BYE ");
    stream_->write(text);
    stream_->write("\r\n");
}

async::Task<void> FrontSession::flush() {
    if (stream_->pending_output() > 0) co_await stream_->flush(async::in(limits_.write));
}

async::Task<void> FrontSession::run() {
    log_.info("connection", {{"remote", accepted_.remote_address}, {"listener", accepted_.listener->config.name}});
    std::string last_words;
    try {
        if (accepted_.listener->config.tls == proto::TlsMode::immediate) {
            auto transport =
                co_await accepted_.listener->tls->accept(std::move(accepted_.socket), async::in(limits_.handshake));
            use_tls(std::move(transport));
        } else {
            stream_.emplace(std::make_unique<async::SocketTransport>(std::move(accepted_.socket)));
        }
        co_await serve();
    } catch (const async::ConnectionLost& lost) {
        if (!stream_) counters_.tls_failures++;
        log_.debug("connection lost", {{"reason", lost.what()}});
    } catch (const async::DeadlinePassed&) {
        last_words = "autologout; idle for too long";
    } catch (const FatalInput& input) {
        last_words = input.text;
    }
    co_await say_last_words(std::move(last_words));
    log_.info("connection ends");
}

async::Task<void> FrontSession::say_last_words(std::string text) {
    constexpr std::chrono::seconds kLastWords{5};
    if (!stream_) co_return;
    try {
        if (!text.empty() && !worker_) {
            bye(text);
            co_await stream_->flush(async::in(kLastWords));
        }
        stream_->close_write();
    } catch (const std::exception&) {
        // nobody listens any more
    }
}

void FrontSession::use_tls(std::unique_ptr<tls::TlsTransport> transport) {
    log_.debug("tls", {{"version", transport->version()}, {"cipher", transport->cipher()}});
    tls_version_ = transport->version();
    peer_key_ = transport->peer_key();
    stream_.emplace(std::move(transport));
}

// RFC 3501 7.1.4: with TLS from the first byte a client whose certificate says who it is needs no login.
async::Task<FrontSession::Outcome> FrontSession::greet() {
    if (!peer_key_.empty()) {
        auto logged_in = co_await services_.login_external(
            {context(proto::LoginMechanism::external), peer_key_, "", proto::ExternalUse::preauth});
        if (logged_in && co_await start_worker("", std::move(*logged_in))) co_return co_await relay();
    }
    stream_->write("* OK [CAPABILITY " + capabilities() + "] " + accepted_.listener->config.hostname +
                   " IMAP ready\r\n");
    co_await flush();
    co_return Outcome::stay;
}

async::Task<void> FrontSession::serve() {
    ReaderLimits limits{kMaxLine, kMaxLiteral, kMaxLiterals, limits_.idle, limits_.idle, limits_.write};
    Outcome outcome = co_await greet();
    while (outcome == Outcome::stay) {
        std::string refused;
        try {
            RawCommand raw = co_await read_command(*stream_, limits);
            outcome = co_await run_command(std::move(raw));
        } catch (const RefusedInput& input) {
            refused = input.tag + ' ' + input.text + "\r\n";
        }
        stream_->write(refused);
        if (outcome == Outcome::relay)
            outcome = co_await relay();
        else
            co_await flush();
    }
}

async::Task<FrontSession::Outcome> FrontSession::run_command(RawCommand raw) {
    std::string problem;
    try {
        // APPEND's message would be read by nobody here.
        if (raw.message && !raw.message->synchronising) throw FatalInput("log in first");
        Command command = parse_command(raw.text);
        first_ = false;
        co_return co_await dispatch(command);
    } catch (const SyntaxError& error) {
        problem = error.text;
    }
    // Who begins with what is no IMAP is no IMAP client: a browser made to talk to us, or a wrong port.
    if (first_) throw FatalInput("this is an IMAP server");
    std::string tag = find_tag(raw.text);
    stream_->write((tag.empty() ? "*" : tag) + " BAD " + problem + "\r\n");
    if (++failures_ >= limits_.max_failures) throw FatalInput("too many bad commands");
    co_return Outcome::stay;
}

async::Task<FrontSession::Outcome> FrontSession::dispatch(const Command& command) {
    switch (command.verb) {
        case Verb::capability:
            stream_->write("* CAPABILITY " + capabilities() + "\r\n");
            reply(command, "OK that is all");
            co_return Outcome::stay;
        case Verb::noop:
            reply(command, "OK done");
            co_return Outcome::stay;
        case Verb::id:
            client_ = client_name(std::get<IdArguments>(command.arguments));
            stream_->write(R"(* ID ("name" "mox"))"
                           "\r\n");
            reply(command, "OK done");
            co_return Outcome::stay;
        case Verb::language:
            language(command);
            co_return Outcome::stay;
        case Verb::logout:
            bye("see you");
            reply(command, "OK logged out");
            co_return Outcome::close;
        case Verb::unauthenticate:
            reply(command, "BAD nobody is logged in");  // RFC 8437 3
            co_return Outcome::stay;
        case Verb::starttls:
            co_return co_await start_tls(command);
        case Verb::login:
            co_return co_await log_in(command);
        case Verb::authenticate:
            co_return co_await authenticate(command);
        default:
            reply(command, "NO log in first");
            co_return Outcome::stay;
    }
}

// RFC 5255 3.2: in any state
void FrontSession::language(const Command& command) {
    auto answer = language_answer(std::get<LanguageArguments>(command.arguments).ranges);
    if (answer) stream_->write("* " + *answer + "\r\n");
    reply(command, answer ? "OK done" : "NO no such language");
}

async::Task<FrontSession::Outcome> FrontSession::start_tls(const Command& command) {
    if (has_tls() || accepted_.listener->tls == nullptr) {
        reply(command, has_tls() ? "BAD TLS is on already" : "BAD no TLS here");
        co_return Outcome::stay;
    }
    // RFC 3501 6.2.1, RFC 9051 11.1: what came in plain text behind STARTTLS may be another's; it is never looked at.
    if (!stream_->buffered().empty()) {
        reply(command, "BAD text behind STARTTLS");
        bye("text behind STARTTLS");
        co_return Outcome::close;
    }
    reply(command, "OK begin TLS");
    co_await flush();
    auto plain = stream_->release_transport();
    Fd socket = static_cast<async::SocketTransport&>(*plain).release();
    stream_.reset();
    auto transport = co_await accepted_.listener->tls->accept(std::move(socket), async::in(limits_.handshake));
    use_tls(std::move(transport));
    co_return Outcome::stay;
}

async::Task<FrontSession::Outcome> FrontSession::hand_over(const Command& command, proto::LoggedIn logged_in) {
    if (co_await start_worker(command.tag, std::move(logged_in))) co_return Outcome::relay;
    reply(command, "NO [UNAVAILABLE] the mail of this account cannot be served at the moment");  // RFC 5530 3
    co_return Outcome::stay;
}

async::Task<bool> FrontSession::start_worker(std::string tag, proto::LoggedIn logged_in) {
    auto [ours, theirs] = ipc::make_socket_pair();
    proto::StartSession request{};
    request.account = logged_in.account;
    request.login = logged_in.login;
    request.remote_address = accepted_.remote_address;
    request.cid = accepted_.cid;
    request.tls = has_tls() ? proto::ImapSessionTls::tls : proto::ImapSessionTls::none;
    request.tag = std::move(tag);
    // What is left is relayed.
    request.pending_input = std::string(stream_->buffered().substr(0, kMaxPending));
    request.hostname = accepted_.listener->config.hostname;
    request.max_message_size = accepted_.listener->config.max_message_size;
    request.message_limit = accepted_.listener->config.message_limit;
    request.stream = std::move(theirs);
    request.account_channel = std::move(logged_in.account_channel);
    Fd back;
    if (reuse() == Reuse::allowed) std::tie(back, request.hand_back) = ipc::make_socket_pair();
    size_t pending = request.pending_input.size();
    co_await flush();
    auto started = co_await services_.start_session(std::move(request));
    if (!started) {
        log_.error("session cannot be started", {{"account", logged_in.account}, {"reason", started.error().text}});
        counters_.logins["unavailable"]++;
        co_return false;
    }
    first_ = false;  // whoever has logged in speaks IMAP
    counters_.logins["ok"]++;
    log_.info("logged in", {{"account", logged_in.account}, {"login", logged_in.login}});
    stream_->consume(pending);
    worker_.emplace(std::make_unique<async::SocketTransport>(std::move(ours)));
    if (back) hand_back_.emplace(std::make_unique<async::SocketTransport>(std::move(back)));
    co_return true;
}

async::Task<FrontSession::Outcome> FrontSession::relay() {
    struct Counted {
        size_t& count;
        explicit Counted(size_t& c) : count(c) { count++; }
        ~Counted() { count--; }
    } counted(counters_.relaying);
    auto* hand_back = hand_back_ ? &*hand_back_ : nullptr;
    auto rest = co_await relay_session(*stream_, *worker_, hand_back, limits_.relay, limits_.write);
    if (!rest) co_return Outcome::close;
    log_.info("unauthenticated");
    worker_.reset();
    hand_back_.reset();
    stream_->put_back(*rest);
    co_return Outcome::stay;
}

}  // namespace mox::imapd
