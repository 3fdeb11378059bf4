// COPY (RFC 3501 6.4.7), MOVE (RFC 6851), with UIDPLUS (RFC 4315 3), limited as RFC 9738 has it. One call to storaged,
// so all or nothing.
#include <algorithm>

#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/copy_between.h"
#include "imapd/worker/message_limit.h"

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

// RFC 6851 4.2: the rights that MOVE needs here are looked for first, so that it does not end half-way
async::Task<proto::MessagesCopied> copy_to_another(Session& session, Selection selection, std::string mailbox,
                                                   Verb verb) {
    constexpr uint32_t kNeeded = proto::kDeleteMessageRight | proto::kExpungeRight;
    bool move = verb == Verb::move;
    if (move && (session.view().mailbox().rights & kNeeded) != kNeeded)
        fail_no("[NOPERM] no right to remove messages here");
    auto copied = co_await copy_between(session, std::move(selection), std::move(mailbox));
    if (move && !copied.uids.empty()) co_await remove_copied(session, sources(copied));
    co_return copied;
}

}  // namespace

async::Task<Answer> cmd_copy(Session& session, const Command& command) {
    const auto& args = std::get<CopyArguments>(command.arguments);
    auto& view = session.view();
    bool move = command.verb == Verb::move;
    if (move) session.need_write_access();
    auto selection = view.select(args.set, command.numbers);
    if (selection.empty()) co_return Answer{Answer::Status::ok, "no such messages"};  // RFC 3501 6.4.8
    size_t limit = std::min(session.message_limit(), session.limits().copied);
    auto cut = cut_to_last(view, selection, limit);
    if (cut && !move) fail_no(message_limit_code(*cut) + "too many messages to copy");  // RFC 9738 3.1
    auto uids = view.uid_ranges(selection);
    proto::MessagesCopied copied;
    if (is_elsewhere(session, args.mailbox))
        copied = co_await copy_to_another(session, std::move(selection), args.mailbox, command.verb);
    else if (move)
        copied = co_await session.ask(proto::MoveMessages{view.id(), std::move(uids), args.mailbox}, "TRYCREATE");
    else
        copied = co_await session.ask(proto::CopyMessages{view.id(), std::move(uids), args.mailbox}, "TRYCREATE");
    if (copied.uids.empty()) co_return Answer{Answer::Status::no, "[EXPUNGEISSUED] the messages do not exist any more"};
    session.touch_added(copied.mailbox, destinations(copied));
    if (!move) co_return Answer{Answer::Status::ok, copyuid(copied) + " copied"};
    session.untagged("OK " + copyuid(copied) + " moved");  // RFC 6851 4.3: before the EXPUNGEs
    view.take_expunged(sources(copied));
    session.touch_others();
    session.expect_own_news();
    co_return limited(session, {Answer::Status::ok, "moved", true}, cut);
}

}  // namespace mox::imapd
