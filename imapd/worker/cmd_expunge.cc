// EXPUNGE (RFC 3501 6.4.3), UID EXPUNGE (RFC 4315 2.1).
#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/message_limit.h"

namespace mox::imapd {
namespace {

// RFC 9738 3.1: what counts is messages with \Deleted
std::optional<Cut> cut_to_last_deleted(const Session& session, Selection& selection) {
    std::vector<uint32_t> deleted;
    for (const auto& range : selection)
        for (uint32_t index = range.begin; index < range.end; index++)
            if (session.view().rows()[index].flags & proto::kDeleted) deleted.push_back(index);
    auto last = to_selection(deleted);
    auto cut = cut_to_last(session.view(), last, session.message_limit());
    if (cut) selection = std::move(last);
    return cut;
}

}  // namespace

async::Task<Answer> cmd_expunge(Session& session, const Command& command) {
    session.need_write_access();
    const auto& args = std::get<ExpungeArguments>(command.arguments);
    auto& view = session.view();
    Selection selection;
    if (args.uids)
        selection = view.select(*args.uids, Numbers::uid);
    else if (!view.rows().empty())
        selection.push_back({0, static_cast<uint32_t>(view.rows().size())});
    std::optional<Cut> cut;
    if (args.uids) cut = cut_to_last_deleted(session, selection);  // RFC 9738 3.1: EXPUNGE has no limit
    // Only what this session knows of: a message it was not told about must not vanish through it.
    auto uids = view.uid_ranges(selection);
    while (!uids.empty()) {
        auto expunged = co_await session.ask(proto::Expunge{view.id(), uids});
        if (expunged.uids.empty()) break;
        view.take_expunged(expunged.uids);
        session.touch_others();
    }
    session.expect_own_news();
    co_return limited(session, {Answer::Status::ok, "expunged", true}, cut);
}

}  // namespace mox::imapd
