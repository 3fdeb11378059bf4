// EHLO and HELO (RFC 5321 4.1.1.1).
#include "smtpd/session.h"

namespace mox::smtpd {

async::Task<void> cmd_hello(Session& s, Command command) {
    if (!is_valid_hello(command.arguments)) {
        s.reply(501, "5.5.4", command.verb + " takes your domain name or address literal");
        co_return;
    }
    // RFC 5321 4.1.4: a new hello ends the transaction.
    s.reset_transaction();
    s.hello = command.arguments;
    s.extended = command.verb == "EHLO";
    if (!s.extended) {
        s.reply(250, "", s.listener->config.hostname);
        co_return;
    }
    std::string text = s.listener->config.hostname;
    text += "\nPIPELINING";                                                                        // RFC 2920
    text += fmt::format("\nSIZE {}", s.listener->config.max_message_size);                         // RFC 1870
    if (s.listener->config.tls == proto::TlsMode::starttls && !s.has_tls()) text += "\nSTARTTLS";  // RFC 3207
    if (s.may_authenticate()) {
        text += "\nAUTH ";
        if (!s.peer_key.empty()) text += "EXTERNAL ";
        text += s.offers_plus() ? "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN"
                                : "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN";
    }
    text += "\nENHANCEDSTATUSCODES";                             // RFC 2034
    text += "\n8BITMIME";                                        // RFC 6152
    text += fmt::format("\nLIMITS RCPTMAX={}", kMaxRecipients);  // RFC 9422
    text += "\nSMTPUTF8";                                        // RFC 6531
    s.reply(250, "", text);
}

}  // namespace mox::smtpd
