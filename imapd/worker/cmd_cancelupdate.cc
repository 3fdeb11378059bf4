// CANCELUPDATE (RFC 5267 4.3.5).
#include "imapd/worker/commands.h"

namespace mox::imapd {

async::Task<Answer> cmd_cancelupdate(Session& session, const Command& command) {
    bool all = true;
    for (const auto& tag : std::get<CancelUpdateArguments>(command.arguments).tags)
        all = session.contexts().cancel(tag) && all;
    if (!all) co_return Answer{Answer::Status::bad, "no search of that tag is kept up to date"};
    co_return Answer{Answer::Status::ok, "no further updates"};
}

}  // namespace mox::imapd
