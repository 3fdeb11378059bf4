// EXPUNGE (RFC 3501 6.4.3), UID EXPUNGE (RFC 4315 2.1).
#include "imapd/worker/commands.h"

namespace mox::imapd {

async::Task<Answer> cmd_expunge(Session& session, const Command& command) {
    session.need_write_access();
    const auto& args = std::get<ExpungeArguments>(command.arguments);
    auto& view = session.view();
    Selection selection;
    if (args.uids)
        selection = view.select(*args.uids, Numbers::uid);
    else if (!view.rows().empty())
        selection.push_back({0, static_cast<uint32_t>(view.rows().size())});
    // Only what this session knows of: a message it was not told about must not vanish through it.
    auto uids = view.uid_ranges(selection);
    while (!uids.empty()) {
        auto expunged = co_await session.ask(proto::Expunge{view.id(), uids});
        if (expunged.uids.empty()) break;
        view.take_expunged(expunged.uids);
        session.touch_others();
    }
    session.expect_own_news();
    co_return Answer{Answer::Status::ok, "expunged", true};
}

}  // namespace mox::imapd
