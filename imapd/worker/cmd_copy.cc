// COPY (RFC 3501 6.4.7), MOVE (RFC 6851), with UIDPLUS (RFC 4315 3). One call to storaged, so all or nothing.
#include <algorithm>

#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

// RFC 4315 3: COPYUID uidvalidity source-uids destination-uids
std::string copyuid(const proto::MessagesCopied& copied) {
    SetWriter source;
    SetWriter destination;
    for (const auto& pair : copied.uids) {
        source.add(pair.source);
        destination.add(pair.destination);
    }
    return "[COPYUID " + std::to_string(copied.uidvalidity) + ' ' + source.take() + ' ' + destination.take() + ']';
}

std::vector<proto::UidRange> sources(const proto::MessagesCopied& copied) {
    std::vector<proto::UidRange> out;
    for (const auto& pair : copied.uids) {
        if (!out.empty() && out.back().last + 1 == pair.source)
            out.back().last = pair.source;
        else
            out.push_back({pair.source, pair.source});
    }
    return out;
}

// One change to the mailbox, so nothing of another's is between them.
SequenceRange destinations(const proto::MessagesCopied& copied) {
    SequenceRange range{copied.uids.front().destination, copied.uids.front().destination};
    for (const auto& pair : copied.uids)
        range = {std::min(range.first, pair.destination), std::max(range.last, pair.destination)};
    return range;
}

}  // namespace

async::Task<Answer> cmd_copy(Session& session, const Command& command) {
    const auto& args = std::get<CopyArguments>(command.arguments);
    auto& view = session.view();
    bool move = command.verb == Verb::move;
    if (move) session.need_write_access();
    auto selection = view.select(args.set, command.numbers);
    if (selection.empty()) co_return Answer{Answer::Status::ok, "no such messages"};  // RFC 3501 6.4.8
    auto uids = view.uid_ranges(selection);
    proto::MessagesCopied copied;
    if (move)
        copied = co_await session.ask(proto::MoveMessages{view.id(), std::move(uids), args.mailbox}, "TRYCREATE");
    else
        copied = co_await session.ask(proto::CopyMessages{view.id(), std::move(uids), args.mailbox}, "TRYCREATE");
    if (copied.uids.empty()) co_return Answer{Answer::Status::no, "[EXPUNGEISSUED] the messages do not exist any more"};
    session.touch_added(copied.uidvalidity, destinations(copied));
    if (!move) co_return Answer{Answer::Status::ok, copyuid(copied) + " copied"};
    session.untagged("OK " + copyuid(copied) + " moved");  // RFC 6851 4.3: before the EXPUNGEs
    view.take_expunged(sources(copied));
    session.touch_others();
    session.expect_own_news();
    co_return Answer{Answer::Status::ok, "moved", true};
}

}  // namespace mox::imapd
