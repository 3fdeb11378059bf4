// RCPT (RFC 5321 4.1.1.3).
#include "smtpd/session.h"

namespace mox::smtpd {

async::Task<void> cmd_rcpt(Session& s, Command command) {
    if (!s.transaction) {
        s.reply(503, "5.5.1", "MAIL first");
        co_return;
    }
    auto parsed = parse_path_command(command.arguments, "TO");
    if (!parsed || parsed->path.kind == mail::PathKind::null) {
        s.reply(501, "5.1.3", parsed ? "a recipient has an address" : parsed.error().text);
        co_return;
    }
    if (!parsed->parameters.empty()) {
        s.reply(555, "5.5.4", "parameter " + parsed->parameters[0].keyword.substr(0, 40) + " not supported");
        co_return;
    }
    Transaction& t = *s.transaction;
    if (t.recipients.size() >= kMaxRecipients) {
        s.reply(452, "4.5.3", fmt::format("at most {} recipients", kMaxRecipients));  // RFC 5321 4.5.3.1.10
        co_return;
    }
    bool has_domain = parsed->path.kind == mail::PathKind::mailbox;
    std::string address = has_domain ? mail::to_string(parsed->path.address) : "postmaster";
    if (!t.parameters.smtputf8 && !text::is_ascii(address)) {
        s.reply(553, "5.6.7", "a recipient with UTF-8 needs SMTPUTF8");  // RFC 6531 3.5
        co_return;
    }
    if (co_await answer_magic(s, parsed->path.address.localpart, text::MagicStage::rcpt_to)) co_return;
    auto resolved = co_await s.smtpd.auth.call(proto::ResolveAddress{address}, kPeerLimit);
    if (!resolved) {
        s.reply_error(resolved.error());
        co_return;
    }
    switch (resolved->status) {
        case proto::AddressStatus::unknown:
            s.smtpd.counters.unknown_recipients++;
            s.reply(550, "5.1.1", "no such address here: " + address);
            co_return;
        case proto::AddressStatus::domain_disabled:
            s.reply(450, "4.2.1", "this domain is out of service at the moment");
            co_return;
        case proto::AddressStatus::not_ours:
            if (!s.is_submission()) {
                s.reply(550, "5.7.1", "no mail for that domain here, and no relaying");
                co_return;
            }
            break;
        default:
            break;
    }
    t.recipients.push_back({std::move(parsed->path), std::move(address), std::move(*resolved)});
    s.reply(250, "2.1.5", "recipient OK");
}

}  // namespace mox::smtpd
