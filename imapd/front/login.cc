// LOGIN and AUTHENTICATE (RFC 3501 6.2.2, 6.2.3; SASL-IR RFC 4959; PLAIN RFC 4616; EXTERNAL
// RFC 4422 A; SCRAM RFC 5802, 7677).
#include "common/sasl/server.h"
#include "common/text/base64.h"
#include "imapd/front/session.h"

namespace mox::imapd {

async::Task<FrontSession::Outcome> FrontSession::log_in(const Command& command) {
    if (!may_log_in()) {
        reply(command, "NO [PRIVACYREQUIRED] TLS is needed first");  // RFC 5530 3
        co_return Outcome::stay;
    }
    const auto& args = std::get<LoginArguments>(command.arguments);
    co_return co_await check_password(command, args.user, args.password);
}

async::Task<FrontSession::Outcome> FrontSession::authenticate(const Command& command) {
    const auto& args = std::get<AuthenticateArguments>(command.arguments);
    auto scram_name = sasl::find_scram(args.mechanism);
    bool has_key = args.mechanism == "EXTERNAL" && !peer_key_.empty();
    if (args.mechanism != "PLAIN" && !has_key && (!scram_name || (scram_name->plus && !offers_plus()))) {
        reply(command, "NO [CANNOT] mechanism not supported");
        co_return Outcome::stay;
    }
    if (!may_log_in()) {
        reply(command, "NO [PRIVACYREQUIRED] TLS is needed first");
        co_return Outcome::stay;
    }
    if (args.mechanism == "PLAIN") co_return co_await plain(command, args.initial);
    if (has_key) co_return co_await external(command, args.initial);
    co_return co_await scram(command, args.initial);
}

async::Task<std::optional<std::string>> FrontSession::sasl_message(const Command& command,
                                                                   std::optional<std::string> initial,
                                                                   std::string challenge) {
    std::string text;
    if (initial) {
        text = *initial == "=" ? "" : *initial;  // RFC 4959 3: "=" is the empty message
    } else {
        stream_->write("+ " + text::encode_base64(challenge) + "\r\n");
        co_await flush();
        auto line = co_await stream_->read_line(8 * 1024, async::in(limits_.idle));
        if (line.end != async::LineEnd::crlf) throw FatalInput("[TOOBIG] line too long");
        text = line.text;
    }
    if (text == "*") {  // RFC 3501 6.2.2
        reply(command, "BAD cancelled");
        co_return std::nullopt;
    }
    auto decoded = text::decode_base64(text);
    if (!decoded) reply(command, "BAD wrong base64");
    co_return decoded;
}

async::Task<FrontSession::Outcome> FrontSession::plain(const Command& command, std::optional<std::string> initial) {
    auto message = co_await sasl_message(command, std::move(initial), "");
    if (!message) co_return Outcome::stay;
    auto credentials = sasl::parse_plain(*message);
    if (!credentials) {
        reply(command, "BAD wrong message for PLAIN");
        co_return Outcome::stay;
    }
    if (!credentials->authzid.empty() && credentials->authzid != credentials->authcid) {
        reply(command, "NO [AUTHORIZATIONFAILED] nobody logs in for another here");  // RFC 5530 3
        co_return Outcome::stay;
    }
    co_return co_await check_password(command, std::move(credentials->authcid), std::move(credentials->password));
}

async::Task<FrontSession::Outcome> FrontSession::check_password(const Command& command, std::string user,
                                                                std::string password) {
    if (user.size() > sasl::kMaxLogin || password.size() > sasl::kMaxPassword)
        co_return co_await failed(command, Error{Persistence::permanent, ErrorCode::denied, "too long"});
    auto logged_in = co_await services_.login({context(), std::move(user), ipc::Secret{std::move(password)}});
    if (!logged_in) co_return co_await failed(command, std::move(logged_in.error()));
    co_return co_await hand_over(command, std::move(*logged_in));
}

// Who holds the key was proved by the handshake; the message only says as whom.
async::Task<FrontSession::Outcome> FrontSession::external(const Command& command, std::optional<std::string> initial) {
    auto message = co_await sasl_message(command, std::move(initial), "");
    if (!message) co_return Outcome::stay;
    auto authzid = sasl::parse_external(*message);
    if (!authzid) {
        reply(command, "BAD wrong message for EXTERNAL");
        co_return Outcome::stay;
    }
    auto logged_in =
        co_await services_.login_external({context(), peer_key_, std::move(*authzid), proto::ExternalUse::command});
    if (!logged_in) co_return co_await failed(command, std::move(logged_in.error()));
    co_return co_await hand_over(command, std::move(*logged_in));
}

async::Task<FrontSession::Outcome> FrontSession::scram(const Command& command, std::optional<std::string> initial) {
    auto client_first = co_await sasl_message(command, std::move(initial), "");
    if (!client_first) co_return Outcome::stay;
    auto mechanism = sasl::find_scram(std::get<AuthenticateArguments>(command.arguments).mechanism);
    auto hash = mechanism->hash == sasl::ScramMechanism::Hash::sha1 ? proto::ScramHash::sha1 : proto::ScramHash::sha256;
    proto::ChannelBinding binding;
    if (offers_plus()) binding = accepted_.listener->tls->binding();
    auto challenge = co_await services_.scram_start(
        {context(), mechanism->plus, offers_plus(), std::move(binding), std::move(*client_first), hash});
    if (!challenge) co_return co_await failed(command, std::move(challenge.error()));
    auto client_final = co_await sasl_message(command, std::nullopt, std::move(challenge->server_first));
    if (!client_final) co_return Outcome::stay;
    auto done = co_await services_.scram_finish({challenge->session, std::move(*client_final)});
    if (!done) co_return co_await failed(command, std::move(done.error()));
    // RFC 5802 5, RFC 3501 6.2.2: the server's signature goes as a challenge, which the client answers with nothing
    auto empty = co_await sasl_message(command, std::nullopt, std::move(done->server_final));
    if (!empty) co_return Outcome::stay;
    co_return co_await hand_over(command, std::move(done->logged_in));
}

async::Task<FrontSession::Outcome> FrontSession::failed(const Command& command, Error error) {
    constexpr int kFreeFailures = 3;
    if (error.code == ErrorCode::bad_request) {
        reply(command, "BAD wrong message for this mechanism");
    } else if (error.code == ErrorCode::denied) {
        counters_.logins["denied"]++;
        reply(command, "NO [AUTHENTICATIONFAILED] wrong user or password");
    } else if (error.code == ErrorCode::busy) {
        counters_.logins["throttled"]++;
        reply(command, "NO [UNAVAILABLE] too many failed logins; try again later");
    } else {
        counters_.logins["unavailable"]++;
        reply(command, "NO [UNAVAILABLE] logins cannot be checked at the moment");
    }
    if (++failures_ >= limits_.max_failures) {
        bye("too many failed logins");
        co_return Outcome::close;
    }
    // Guessing gets slower with each try; what is sent meanwhile waits.
    if (failures_ > kFreeFailures) co_await async::sleep_for((failures_ - kFreeFailures) * limits_.penalty);
    co_return Outcome::stay;
}

}  // namespace mox::imapd
