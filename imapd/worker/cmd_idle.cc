// IDLE (RFC 2177): tells news as they come until the client says DONE.
#include <sys/socket.h>

#include "common/text/ascii.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

struct Watch {
    bool stop = false;
};

constexpr std::chrono::seconds kAskAgain{5};  // when storaged did not answer

async::Task<void> wait_for_news(async::Notify& news, async::Deadline deadline) {
    try {
        co_await news.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        // time to ask again
    }
}

// Writes news until told to stop. It never is cancelled in the middle of a write: the stream would lose its place.
async::Task<void> tell_news(Session& session, Watch& watch) {
    try {
        while (!watch.stop && !session.ending()) {
            auto refreshed = co_await session.update(Announce::all);
            co_await session.flush();
            if (watch.stop || session.ending()) break;
            if (refreshed == Session::Refreshed::later)
                co_await wait_for_news(session.news(), async::in(kAskAgain));
            else if (!session.news_expected())
                co_await session.news().wait();
        }
    } catch (const std::exception&) {
        ::shutdown(session.stream().fd(), SHUT_RDWR);  // who waits for DONE learns of it
    }
}

}  // namespace

async::Task<Answer> cmd_idle(Session& session, const Command&) {
    session.stream().write("+ idling\r\n");
    co_await session.flush();
    co_return co_await idle_until_done(session);
}

async::Task<Answer> idle_until_done(Session& session) {
    session.expect_news();
    session.set_idling(true);
    Watch watch;
    async::Scope scope;
    scope.spawn(tell_news(session, watch));
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
    watch.stop = true;
    session.news().notify_all();
    co_await scope.join();
    if (failure) std::rethrow_exception(failure);
    // RFC 2177 3: nothing but DONE may come; where the next command would begin is unknown then
    if (!text::iequals(line, "DONE")) {
        session.end("expected DONE");
        co_return Answer{Answer::Status::bad, "expected DONE"};
    }
    co_return Answer{Answer::Status::ok, "idled"};
}

}  // namespace mox::imapd
