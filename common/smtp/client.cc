#include "common/smtp/client.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

#include "common/smtp/dot_stuffing.h"
#include "common/text/ascii.h"
#include "common/text/base64.h"

namespace mox::smtp {
namespace {

constexpr size_t kBlock = 32 * 1024;  // of content read and sent at a time

bool has_mechanism(const Extensions& e, std::string_view name) {
    return std::ranges::find(e.mechanisms, name) != e.mechanisms.end();
}

bool is_address_text(std::string_view address) {
    return std::ranges::none_of(address, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

/// RFC 5321 4.5.3.1.10: 552 to RCPT means "too many recipients", as 452 does.
Reply as_too_many(Reply reply) {
    if (reply.code == 552 && !reply.enhanced.starts_with("5.2.")) {
        reply.code = 452;
        reply.enhanced = "4.5.3";
    }
    return reply;
}

}  // namespace

Client::Client(Fd socket, ClientOptions options, log::Logger log)
    : options_(std::move(options)), log_(std::move(log)), socket_(std::move(socket)) {}

async::Deadline Client::deadline(Span span) const {
    return std::min(async::in(span), options_.give_up);
}

Outcome Client::named(Outcome outcome) const {
    outcome.remote_name = options_.remote_name;
    outcome.remote_address = options_.remote_address;
    return outcome;
}

void Client::fail(Outcome outcome) {
    // A reply that is positive, but not the one that had to come.
    if (outcome.delivered())
        outcome = failure(Verdict::temporary, Scope::host, "4.5.0", "unexpected answer: " + outcome.text);
    throw Failed{named(std::move(outcome))};
}

Outcome Client::from_exception(const std::exception& e) const {
    bool late = dynamic_cast<const async::DeadlinePassed*>(&e) != nullptr;
    std::string text =
        late ? "no answer in time while " + stage_ : fmt::format("connection lost while {}: {}", stage_, e.what());
    Scope scope = fresh_tls_ ? Scope::tls : Scope::host;
    // Nobody knows whether the server has the message: another one must not get it at once as well.
    if (uncertain_) scope = Scope::message;
    return named(failure(Verdict::temporary, scope, fresh_tls_ ? "4.7.5" : late ? "4.4.1" : "4.4.2", std::move(text)));
}

// ---- replies and commands

async::Task<Reply> Client::read_reply(Span span) {
    async::Deadline limit = deadline(span);
    ReplyParser parser;
    for (;;) {
        auto line = co_await stream_->read_line(kMaxReplyLine, limit);
        if (line.end == async::LineEnd::too_long)
            fail(failure(Verdict::temporary, Scope::host, "4.5.0", "reply line too long while " + stage_));
        auto state = parser.feed(line.text);
        if (!state) fail(failure(Verdict::temporary, Scope::host, "4.5.0", state.error().text + " while " + stage_));
        if (*state == ReplyParser::State::complete) break;
    }
    Reply reply = parser.take();
    fresh_tls_ = false;
    log_.trace("smtp reply", {{"stage", stage_}, {"reply", to_string(reply)}});
    // RFC 5321 3.8: the server is about to close the connection.
    if (reply.code == 421)
        broken_ = true;
    else
        heard_ = true;
    co_return reply;
}

async::Task<void> Client::flush(Span span) {
    co_await stream_->flush(deadline(span));
}

async::Task<Reply> Client::command(std::string line, Span span) {
    stream_->write(line);
    stream_->write("\r\n");
    co_await flush(span);
    co_return co_await read_reply(span);
}

// ---- up to the first message

async::Task<std::optional<Outcome>> Client::open() {
    std::optional<Outcome> problem;
    try {
        co_await prepare();
        ready_ = true;
    } catch (const Failed& f) {
        problem = f.outcome;
    } catch (const std::exception& e) {
        problem = from_exception(e);
        broken_ = true;
    }
    co_return problem;
}

async::Task<void> Client::prepare() {
    if (options_.tls == ClientTls::immediate) {
        co_await handshake(std::move(socket_));
    } else {
        stream_ = std::make_unique<async::Stream>(std::make_unique<async::SocketTransport>(std::move(socket_)));
    }
    co_await greet();
    co_await hello();
    if (options_.tls == ClientTls::starttls || (options_.tls == ClientTls::opportunistic && extensions_.starttls)) {
        co_await start_tls();
    }
    if (!options_.username.empty()) co_await authenticate();
}

async::Task<void> Client::greet() {
    stage_ = "waiting for the greeting";
    Reply reply = co_await read_reply(options_.timeouts.greeting);
    // RFC 5321 3.1, RFC 7504: 554 and 521 are of this host only.
    if (reply.code != 220) fail(from_reply(reply, Scope::host));
}

async::Task<void> Client::hello() {
    stage_ = "sending EHLO";
    extensions_ = Extensions{};
    Reply reply = co_await command("EHLO " + options_.hostname, options_.timeouts.command);
    if (reply.severity() == 2) {
        extensions_ = parse_extensions(reply);
        co_return;
    }
    // RFC 5321 3.2: fall back to HELO; but there is no TLS and no AUTH after it.
    bool needs_extensions = options_.tls == ClientTls::starttls || !options_.username.empty() || !tls_version_.empty();
    if (reply.severity() != 5 || needs_extensions || broken_) fail(from_reply(reply, Scope::host));
    stage_ = "sending HELO";
    reply = co_await command("HELO " + options_.hostname, options_.timeouts.command);
    if (reply.severity() != 2) fail(from_reply(reply, Scope::host));
}

async::Task<void> Client::handshake(Fd socket) {
    stage_ = "negotiating TLS";
    fresh_tls_ = true;
    auto transport = co_await tls::connect(std::move(socket), options_.remote_name, options_.verify, options_.ca_pem,
                                           deadline(options_.timeouts.handshake));
    tls_version_ = transport->version();
    log_.debug("tls established", {{"version", tls_version_}, {"cipher", transport->cipher()}});
    stream_ = std::make_unique<async::Stream>(std::move(transport));
}

async::Task<void> Client::start_tls() {
    stage_ = "sending STARTTLS";
    Reply reply = co_await command("STARTTLS", options_.timeouts.command);
    if (reply.code != 220) {
        // RFC 3207 4: a server that cannot just now (454) takes the mail in plain text.
        if (options_.tls == ClientTls::opportunistic && !broken_) co_return;
        Outcome outcome = from_reply(reply, Scope::host);
        outcome.verdict = Verdict::temporary;  // it may have TLS later; without it no mail goes there
        if (!outcome.enhanced.starts_with("4.")) outcome.enhanced = "4.7.0";
        fail(std::move(outcome));
    }
    // RFC 3207 4.2: nothing that came in plain text counts after the handshake.
    if (!stream_->buffered().empty())
        fail(failure(Verdict::temporary, Scope::host, "4.7.0", "the server sent more behind its answer to STARTTLS"));
    auto transport = stream_->release_transport();
    stream_.reset();
    co_await handshake(static_cast<async::SocketTransport&>(*transport).release());
    co_await hello();  // RFC 3207 4.2: what was announced before is void
}

async::Task<void> Client::authenticate() {
    stage_ = "logging in";
    // RFC 4954 4: PLAIN and LOGIN show the password to whoever listens.
    if (tls_version_.empty())
        fail(failure(Verdict::temporary, Scope::host, "4.7.0", "the password is not sent without TLS"));
    Reply reply;
    if (has_mechanism(extensions_, "PLAIN")) {
        std::string plain = '\0' + options_.username + '\0' + options_.password;  // RFC 4616 2
        reply = co_await command("AUTH PLAIN " + text::encode_base64(plain), options_.timeouts.command);
    } else if (has_mechanism(extensions_, "LOGIN")) {
        reply = co_await login();
    } else {
        fail(failure(Verdict::temporary, Scope::host, "4.7.0", "the server offers neither AUTH PLAIN nor LOGIN"));
    }
    if (reply.severity() == 2) co_return;
    // Wrong credentials are the admin's to mend, and no reason to return mail.
    Outcome outcome = from_reply(reply, Scope::host);
    outcome.verdict = Verdict::temporary;
    if (!outcome.enhanced.starts_with("4.")) outcome.enhanced = "4.7.8";
    fail(std::move(outcome));
}

async::Task<Reply> Client::login() {
    Reply reply = co_await command("AUTH LOGIN", options_.timeouts.command);
    if (reply.code != 334) co_return reply;
    reply = co_await command(text::encode_base64(options_.username), options_.timeouts.command);
    if (reply.code != 334) co_return reply;
    co_return co_await command(text::encode_base64(options_.password), options_.timeouts.command);
}

// ---- a message

std::optional<Outcome> Client::refuse(const Mail& mail) const {
    // Nothing that could be a second command may stand in an address.
    if (!is_address_text(mail.mail_from) || !std::ranges::all_of(mail.recipients, is_address_text))
        return failure(Verdict::permanent, Scope::message, "5.1.3", "an address holds characters that no address has");
    uint64_t size = mail.prefix.size() + mail.file_size;
    if (extensions_.max_size && size > *extensions_.max_size)  // RFC 1870 6.3
        return failure(
            Verdict::permanent, Scope::message, "5.3.4",
            fmt::format("the message has {} bytes, the server takes at most {}", size, *extensions_.max_size));
    if (mail.needs_smtputf8 && !extensions_.smtputf8)  // RFC 6531 3.2
        return failure(Verdict::permanent, Scope::message, "5.6.7",
                       "the message needs internationalised addresses (SMTPUTF8), which the server does not support");
    if (mail.has_8bit && !extensions_.eight_bit_mime)  // RFC 6152 3: convert, or return it
        return failure(Verdict::permanent, Scope::message, "5.6.3",
                       "the message has 8-bit content, which the server does not support (8BITMIME)");
    return std::nullopt;
}

std::string Client::mail_command(const Mail& mail) const {
    std::string line = "MAIL FROM:<" + mail.mail_from + ">";
    if (extensions_.size) line += fmt::format(" SIZE={}", mail.prefix.size() + mail.file_size);
    if (extensions_.eight_bit_mime) line += mail.has_8bit ? " BODY=8BITMIME" : " BODY=7BIT";
    if (mail.needs_smtputf8) line += " SMTPUTF8";
    return line;
}

void Client::resume(async::Deadline give_up, log::Logger log) {
    options_.give_up = give_up;
    log_ = std::move(log);
}

async::Task<std::vector<Outcome>> Client::send(Mail mail) {
    heard_ = false;
    std::vector<std::optional<Outcome>> outcomes(mail.recipients.size());
    std::optional<Outcome> rest = refuse(mail);
    if (rest) {
        rest = named(*rest);
    } else {
        try {
            co_await transact(mail, outcomes);
        } catch (const Failed& f) {
            rest = f.outcome;
            broken_ = true;
        } catch (const std::exception& e) {
            rest = from_exception(e);
            broken_ = true;
        }
    }
    if (!rest) rest = named(failure(Verdict::temporary, Scope::host, "4.0.0", "not tried"));
    std::vector<Outcome> out;
    // Those answered before the connection broke keep their answer.
    for (auto& outcome : outcomes) out.push_back(outcome ? std::move(*outcome) : *rest);
    co_return out;
}

async::Task<void> Client::transact(const Mail& mail, std::vector<std::optional<Outcome>>& outcomes) {
    stage_ = "starting a message";
    uncertain_ = false;
    if (in_transaction_) {
        Reply reply = co_await command("RSET", options_.timeouts.command);
        if (reply.severity() != 2) fail(from_reply(reply, Scope::host));
        in_transaction_ = false;
    }
    if (!co_await envelope(mail, outcomes)) co_return;
    stage_ = "sending the content";
    co_await content(mail);
    stage_ = "waiting for the answer to the content";
    uncertain_ = true;
    Reply reply = co_await read_reply(options_.timeouts.final_dot);
    uncertain_ = false;
    in_transaction_ = false;
    Outcome result = named(from_reply(reply, Scope::message));
    for (auto& outcome : outcomes) {
        if (!outcome) outcome = result;
    }
}

// MAIL, each RCPT and DATA, in one write where the server allows it (RFC 2920 3.1). True when the content may follow;
// the recipients without an outcome are then those it is for.
async::Task<bool> Client::envelope(const Mail& mail, std::vector<std::optional<Outcome>>& outcomes) {
    bool pipelined = extensions_.pipelining;
    auto say = [&](const std::string& line) { stream_->write(line + "\r\n"); };
    std::string from = mail_command(mail);
    const Span span = options_.timeouts.command;
    say(from);
    if (pipelined) {
        for (const auto& recipient : mail.recipients) say("RCPT TO:<" + recipient + ">");
        say("DATA");
    }
    stage_ = "sending MAIL";
    co_await flush(span);
    Reply reply = co_await read_reply(span);
    bool sender_ok = reply.severity() == 2;
    if (sender_ok)
        in_transaction_ = true;
    else
        for (auto& outcome : outcomes) outcome = named(from_reply(reply, Scope::message));
    if (!sender_ok && (!pipelined || broken_)) co_return false;

    stage_ = "sending RCPT";
    bool some = false;
    for (size_t i = 0; i < mail.recipients.size(); i++) {
        if (!pipelined) {
            say("RCPT TO:<" + mail.recipients[i] + ">");
            co_await flush(span);
        }
        reply = as_too_many(co_await read_reply(span));
        if (reply.severity() == 2)
            some = true;
        else if (sender_ok)
            outcomes[i] = named(from_reply(reply, Scope::message));
        if (broken_) fail(from_reply(reply, Scope::host));
    }
    if (!some && !pipelined) co_return false;

    stage_ = "sending DATA";
    if (!pipelined) say("DATA");
    co_await flush(options_.timeouts.data);
    reply = co_await read_reply(options_.timeouts.data);
    if (reply.code == 354) {
        if (some && sender_ok) co_return true;
        // RFC 2920 3.1: the server waits for content that nobody is to get: an empty message ends it.
        say(".");
        co_await flush(options_.timeouts.block);
        co_await read_reply(options_.timeouts.final_dot);
        in_transaction_ = false;
        co_return false;
    }
    Outcome refused = named(from_reply(reply, Scope::message));
    if (refused.delivered())
        refused = named(failure(Verdict::temporary, Scope::host, "4.5.0", "DATA answered with " + refused.text));
    for (auto& outcome : outcomes) {
        if (!outcome) outcome = refused;
    }
    co_return false;
}

async::Task<void> Client::content(const Mail& mail) {
    DotStuffing stuffing;
    std::string wire;
    stuffing.feed(mail.prefix, wire);
    std::string block(kBlock, '\0');
    for (uint64_t at = 0; at < mail.file_size;) {
        size_t wanted = std::min<uint64_t>(block.size(), mail.file_size - at);
        ssize_t n = pread(mail.file, block.data(), wanted, static_cast<off_t>(at));
        // A message that cannot be read must not be completed: the connection ends here.
        if (n <= 0) fail(failure(Verdict::temporary, Scope::message, "4.3.0", "the stored message cannot be read"));
        at += static_cast<uint64_t>(n);
        stuffing.feed(std::string_view(block).substr(0, static_cast<size_t>(n)), wire);
        if (at == mail.file_size) break;  // the end goes with it
        stream_->write(wire);
        wire.clear();
        co_await flush(options_.timeouts.block);
    }
    stuffing.finish(wire);
    stream_->write(wire);
    uncertain_ = true;
    co_await flush(options_.timeouts.block);
}

async::Task<void> Client::quit() {
    if (broken_ || stream_ == nullptr) co_return;
    try {
        co_await command("QUIT", options_.timeouts.quit);
        stream_->close_write();
    } catch (const Failed&) {
    } catch (const std::exception&) {
        // It is over either way.
    }
    broken_ = true;
}

}  // namespace mox::smtp
