#include "imapd/worker/news_teller.h"

#include <sys/socket.h>

namespace mox::imapd {
namespace {

constexpr std::chrono::seconds kAskAgain{5};  // when storaged did not answer

async::Task<void> wait_for_news(async::Notify& news, async::Deadline deadline) {
    try {
        co_await news.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        // time to ask again
    }
}

}  // namespace

async::Task<void> NewsTeller::tell() {
    try {
        while (!stop_ && !session_.ending()) {
            auto refreshed = co_await session_.update(what_);
            co_await session_.flush();
            if (stop_ || session_.ending()) break;
            if (refreshed == Session::Refreshed::later)
                co_await wait_for_news(session_.news(), async::in(kAskAgain));
            else if (!session_.news_expected())
                co_await session_.news().wait();
        }
    } catch (const std::exception&) {
        ::shutdown(session_.stream().fd(), SHUT_RDWR);  // who waits for the client learns of it
    }
}

async::Task<void> NewsTeller::stop() {
    stop_ = true;
    session_.news().notify_all();
    co_await scope_.join();
}

}  // namespace mox::imapd
