// MAIL (RFC 5321 4.1.1.2).
#include "smtpd/session.h"

namespace mox::smtpd {
namespace {

/// What stands in the way of a transaction at all.
bool refuse_state(Session& s) {
    if (s.hello.empty())
        s.reply(503, "5.5.1", "EHLO first");
    else if (s.transaction)
        s.reply(503, "5.5.1", "a transaction is under way; RSET ends it");
    else if (s.listener->config.require_starttls && !s.has_tls())
        s.reply(530, "5.7.0", "TLS first: STARTTLS");
    else if (s.is_submission() && s.account.empty())
        s.reply(530, "5.7.0", "log in first");  // RFC 4954 6
    else
        return false;
    return true;
}

}  // namespace

async::Task<void> cmd_mail(Session& s, Command command) {
    if (refuse_state(s)) co_return;
    auto parsed = parse_path_command(command.arguments, "FROM");
    if (!parsed || parsed->path.kind == mail::PathKind::postmaster) {
        s.reply(501, "5.1.7", parsed ? "a sender has a domain" : parsed.error().text);
        co_return;
    }
    auto parameters = check_mail_parameters(parsed->parameters);
    if (!parameters) {
        s.reply(parameters.error().code, parameters.error().enhanced, parameters.error().text);
        co_return;
    }
    if (parameters->size > s.listener->config.max_message_size) {
        // RFC 1870 6.1
        s.reply(552, "5.3.4", fmt::format("a message may have {} bytes", s.listener->config.max_message_size));
        co_return;
    }
    bool null_sender = parsed->path.kind == mail::PathKind::null;
    std::string sender = null_sender ? "" : mail::to_string(parsed->path.address);
    if (!parameters->smtputf8 && !text::is_ascii(sender)) {
        s.reply(550, "5.6.7", "a sender with UTF-8 needs SMTPUTF8");  // RFC 6531 3.5
        co_return;
    }
    if (co_await answer_magic(s, parsed->path.address.localpart, text::MagicStage::mail_from)) co_return;
    if (s.is_submission()) {
        auto allowed = co_await s.smtpd.auth.call(proto::CheckSender{s.account, sender}, kPeerLimit);
        if (!allowed) {
            if (allowed.error().is_temporary())
                s.reply_error(allowed.error());
            else
                s.reply(550, "5.7.1", "this account may not send as " + (null_sender ? std::string("<>") : sender));
            co_return;
        }
    }
    s.transaction = Transaction{std::move(sender), *parameters, {}};
    s.reply(250, "2.1.0", "sender OK");
}

}  // namespace mox::smtpd
