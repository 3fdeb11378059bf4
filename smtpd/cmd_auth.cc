// AUTH (RFC 4954) with EXTERNAL (RFC 4422 A), PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and -PLUS (RFC 5802, RFC 7677).
// Verification is authd's.
#include "common/sasl/server.h"
#include "common/text/base64.h"
#include "smtpd/session.h"

namespace mox::smtpd {
namespace {

constexpr int kMaxFailedLogins = 10;

proto::LoginContext context_of(const Session& s) {
    return {proto::LoginProtocol::submission, s.remote_address, s.cid};
}

void succeed(Session& s, proto::LoggedIn logged_in) {
    s.account = std::move(logged_in.account);
    s.login = std::move(logged_in.login);
    s.smtpd.counters.logins++;
    s.reply(235, "2.7.0", "logged in");
}

void fail(Session& s, const Error& error) {
    s.smtpd.counters.logins_failed++;
    if (error.is_temporary()) {
        s.reply(454, "4.7.0", error.text);
        return;
    }
    if (error.code == ErrorCode::bad_request)
        s.reply(501, "5.5.2", error.text);
    else
        s.reply(535, "5.7.8", error.text);
    if (++s.failed_logins >= kMaxFailedLogins) {
        s.reply(421, "4.7.0", "too many failed logins");
        s.close();
    }
}

/// The client's decoded message, asked for with `challenge` when it did not come with the command.
async::Task<std::optional<std::string>> client_message(Session& s, std::optional<std::string> text,
                                                       std::string challenge) {
    if (!text) text = co_await s.ask(text::encode_base64(challenge));
    if (!text) {
        s.reply(501, "5.7.0", "login cancelled");
        co_return std::nullopt;
    }
    // RFC 4954 4: "=" is an empty initial response.
    auto decoded = *text == "=" ? std::optional<std::string>("") : text::decode_base64(*text);
    if (!decoded) s.reply(501, "5.5.2", "not base64");
    co_return decoded;
}

async::Task<void> log_in(Session& s, std::string login, std::string password) {
    auto result = co_await s.smtpd.auth.call(proto::LoginPlain{context_of(s), std::move(login), {std::move(password)}},
                                             kPeerLimit);
    if (result)
        succeed(s, std::move(*result));
    else
        fail(s, result.error());
}

async::Task<void> auth_plain(Session& s, std::optional<std::string> initial) {
    auto message = co_await client_message(s, std::move(initial), "");
    if (!message) co_return;
    auto credentials = sasl::parse_plain(*message);
    if (!credentials) {
        s.reply(501, "5.5.4", "malformed PLAIN message");
        co_return;
    }
    if (!credentials->authzid.empty() && credentials->authzid != credentials->authcid) {
        s.reply(535, "5.7.8", "acting for another user is not permitted");
        co_return;
    }
    co_await log_in(s, std::move(credentials->authcid), std::move(credentials->password));
}

async::Task<void> auth_login(Session& s, std::optional<std::string> initial) {
    auto login = co_await client_message(s, std::move(initial), "Username:");
    if (!login) co_return;
    auto password = co_await client_message(s, std::nullopt, "Password:");
    if (!password) co_return;
    if (login->size() > sasl::kMaxLogin || password->size() > sasl::kMaxPassword) {
        s.reply(501, "5.5.4", "user name or password too long");
        co_return;
    }
    co_await log_in(s, std::move(*login), std::move(*password));
}

async::Task<void> auth_external(Session& s, std::optional<std::string> initial) {
    auto message = co_await client_message(s, std::move(initial), "");
    if (!message) co_return;
    auto authzid = sasl::parse_external(*message);
    if (!authzid) {
        s.reply(501, "5.5.4", "malformed EXTERNAL message");
        co_return;
    }
    auto result = co_await s.smtpd.auth.call(
        proto::LoginExternal{context_of(s), s.peer_key, std::move(*authzid), proto::ExternalUse::command}, kPeerLimit);
    if (result)
        succeed(s, std::move(*result));
    else
        fail(s, result.error());
}

async::Task<void> auth_scram(Session& s, std::optional<std::string> initial, sasl::ScramMechanism mechanism) {
    auto first = co_await client_message(s, std::move(initial), "");
    if (!first) co_return;
    auto hash = mechanism.hash == sasl::ScramMechanism::Hash::sha1 ? proto::ScramHash::sha1 : proto::ScramHash::sha256;
    auto challenge = co_await s.smtpd.auth.call(
        proto::ScramStart{context_of(s), mechanism.plus, s.offers_plus(), s.binding(), std::move(*first), hash},
        kPeerLimit);
    if (!challenge) {
        fail(s, challenge.error());
        co_return;
    }
    auto last = co_await client_message(s, std::nullopt, challenge->server_first);
    if (!last) co_return;
    auto done = co_await s.smtpd.auth.call(proto::ScramFinish{challenge->session, std::move(*last)}, kPeerLimit);
    if (!done) {
        fail(s, done.error());
        co_return;
    }
    // The server's signature is a challenge of its own; the client answers with nothing (RFC 4954 section 4).
    if (!co_await client_message(s, std::nullopt, done->server_final)) co_return;
    succeed(s, std::move(done->logged_in));
}

}  // namespace

async::Task<void> cmd_auth(Session& s, Command command) {
    if (!s.is_submission()) {
        s.reply(503, "5.5.1", "no logins on this port; use submission");
        co_return;
    }
    if (s.hello.empty() || !s.account.empty() || s.transaction) {
        // RFC 4954 4
        s.reply(503, "5.5.1",
                s.hello.empty()      ? "EHLO first"
                : !s.account.empty() ? "logged in already"
                                     : "not within a transaction");
        co_return;
    }
    if (!s.may_authenticate()) {
        s.reply(538, "5.7.11", "TLS first: STARTTLS");  // RFC 4954 6
        co_return;
    }
    size_t space = command.arguments.find(' ');
    std::string mechanism = text::to_upper(command.arguments.substr(0, space));
    std::optional<std::string> initial;
    if (space != std::string_view::npos) initial = text::trim(command.arguments.substr(space));
    if (mechanism.empty())
        s.reply(501, "5.5.4", "AUTH takes a mechanism");
    else if (mechanism == "PLAIN")
        co_await auth_plain(s, std::move(initial));
    else if (mechanism == "LOGIN")
        co_await auth_login(s, std::move(initial));
    else if (mechanism == "EXTERNAL" && !s.peer_key.empty())
        co_await auth_external(s, std::move(initial));
    else if (auto scram = sasl::find_scram(mechanism); scram && (!scram->plus || s.offers_plus()))
        co_await auth_scram(s, std::move(initial), *scram);
    else
        s.reply(504, "5.5.4", "mechanism not supported");
}

}  // namespace mox::smtpd
