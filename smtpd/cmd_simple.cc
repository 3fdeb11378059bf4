// RSET NOOP VRFY EXPN HELP QUIT (RFC 5321 4.1.1.5 to 4.1.1.10).
#include "smtpd/session.h"

namespace mox::smtpd {

async::Task<void> cmd_simple(Session& s, Command command) {
    if (command.verb == "RSET") {
        s.reset_transaction();
        s.reply(250, "2.0.0", "OK");
    } else if (command.verb == "NOOP") {
        s.reply(250, "2.0.0", "OK");
    } else if (command.verb == "HELP") {
        s.reply(214, "2.0.0", "see RFC 5321");
    } else if (command.verb == "QUIT") {
        s.reply(221, "2.0.0", "bye");
        s.close();
    } else if (command.arguments.empty()) {
        s.reply(501, "5.5.4", command.verb + " takes an argument");
    } else {
        // RFC 5321 7.3: who exists is not told.
        s.reply(252, "2.5.2", "send mail and it will be seen");
    }
    co_return;
}

}  // namespace mox::smtpd
