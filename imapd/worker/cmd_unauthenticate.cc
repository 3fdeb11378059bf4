// UNAUTHENTICATE (RFC 8437). The session ends with all it knows; the front has the client again, with TLS as it was.
#include "imapd/worker/commands.h"

namespace mox::imapd {

async::Task<Answer> cmd_unauthenticate(Session& session, const Command&) {
    switch (session.can_hand_back()) {
        case Session::HandBack::refused:
            fail_bad("not offered here");
        case Session::HandBack::impossible:
            throw SessionOver("text behind UNAUTHENTICATE");  // RFC 8437 3: BYE, never NO
        default:
            break;
    }
    session.hand_back_after_answer();
    co_return Answer{Answer::Status::ok, "log in again"};
}

}  // namespace mox::imapd
