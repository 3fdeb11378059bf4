// IDLE (RFC 2177): tells news as they come until the client says DONE.
#include "common/text/ascii.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/news_teller.h"

namespace mox::imapd {

async::Task<Answer> cmd_idle(Session& session, const Command&) {
    session.stream().write("+ idling\r\n");
    co_await session.flush();
    co_return co_await idle_until_done(session);
}

async::Task<Answer> idle_until_done(Session& session) {
    session.expect_news();
    session.set_idling(true);
    NewsTeller teller(session, Announce::all);
    std::exception_ptr failure;
    std::string line;
    try {
        auto deadline = session.patience(session.limits().idle_command);
        Session::Resting resting(session);
        auto read = co_await session.stream().read_line(64, deadline);
        line = read.end == async::LineEnd::crlf ? std::string(read.text) : "-";
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    session.set_idling(false);
    co_await teller.stop();
    if (failure) std::rethrow_exception(failure);
    // RFC 2177 3: nothing but DONE may come; where the next command would begin is unknown then
    if (!text::iequals(line, "DONE")) {
        session.end("expected DONE");
        co_return Answer{Answer::Status::bad, "expected DONE"};
    }
    co_return Answer{Answer::Status::ok, "idled"};
}

}  // namespace mox::imapd
