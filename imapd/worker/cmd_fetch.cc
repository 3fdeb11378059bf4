// FETCH and UID FETCH (RFC 3501 6.4.5, 7.4.2), CHANGEDSINCE and VANISHED (RFC 7162 3.1.4, 3.2.6), PARTIAL (RFC
// 9394 3.3). A message expunged elsewhere has the command answered with NO (RFC 2180 4.1.2).
#include <algorithm>

#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/fetch_run.h"
#include "imapd/worker/message_limit.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/vanished.h"

namespace mox::imapd {
namespace {

// RFC 9738 3.1: what the range names counts, whatever there is
void check_partial(const Session& session, const PartialRange& partial) {
    auto [low, high] = std::minmax({partial.first, partial.last});
    if (high - low >= session.message_limit())
        fail_no(message_limit_code(session.message_limit()) + "too many messages in PARTIAL");
}

// RFC 9394 3.3: some of the messages, counted from the first or from the last
Selection take_partial(const Selection& selection, const PartialRange& partial) {
    auto [begin, end] = resolve_partial(partial, count(selection));
    Selection out;
    size_t at = 0;
    for (const auto& range : selection) {
        size_t first = std::max(begin, at);
        size_t last = std::min(end, at + range.size());
        if (first < last)
            out.push_back(
                {static_cast<uint32_t>(range.begin + (first - at)), static_cast<uint32_t>(range.begin + (last - at))});
        at += range.size();
    }
    return out;
}

Selection take_changed(const MailboxView& view, const Selection& selection, uint64_t since) {
    std::vector<uint32_t> changed;
    for (const auto& range : selection)
        for (uint32_t index = range.begin; index < range.end; index++)
            if (view.rows()[index].modseq > since) changed.push_back(index);
    return to_selection(changed);
}

// What the modifiers leave of the messages named, and what they tell besides.
async::Task<Selection> apply_modifiers(Session& session, const Command& command, const FetchArguments& args) {
    bool uid = command.numbers == Numbers::uid;
    if (args.partial && !uid) fail_bad("PARTIAL is for UID FETCH");                               // RFC 9394 3.3
    if (args.vanished && !uid) fail_bad("VANISHED is for UID FETCH");                             // RFC 7162 3.2.6
    if (args.vanished && !session.features().qresync) fail_bad("VANISHED needs ENABLE QRESYNC");  // RFC 7162 3.2.6
    if (args.partial) check_partial(session, *args.partial);
    auto selection = session.view().select(args.set, command.numbers);
    if (args.changed_since || (args.items & kFetchModSeq)) session.enable_condstore();
    if (args.partial) selection = take_partial(selection, *args.partial);
    if (args.changed_since) selection = take_changed(session.view(), selection, *args.changed_since);
    if (args.vanished) {
        auto known = session.view().uids_of(args.set, command.numbers);
        co_await tell_vanished(session, *args.changed_since, std::move(known));
    }
    co_return selection;
}

Answer answer_to(const FetchOutcome& outcome) {
    if (!outcome.damaged.empty()) return {Answer::Status::no, damaged_text(outcome.damaged)};
    if (outcome.missing > 0)
        return {Answer::Status::no, "[EXPUNGEISSUED] some of the messages do not exist any more"};  // RFC 5530 3
    if (outcome.unknown_encoding) return {Answer::Status::no, "[UNKNOWN-CTE] a part cannot be decoded"};
    return {Answer::Status::ok, "fetched"};
}

}  // namespace

async::Task<Answer> cmd_fetch(Session& session, const Command& command) {
    const auto& args = std::get<FetchArguments>(command.arguments);
    auto selection = co_await apply_modifiers(session, command, args);
    auto cut = cut_to_last(session.view(), selection, session.message_limit());
    if (cut) selection = backwards(selection);  // RFC 9738 3.1: from the highest UID to the lowest
    FetchAttributes wanted = args;
    // RFC 3501 6.4.8; in the answer of RFC 9586 3.3 it stands in front already
    if (command.numbers == Numbers::uid && !session.features().uidonly) wanted.items |= kFetchUid;
    if (args.changed_since) wanted.items |= kFetchModSeq;  // RFC 7162 3.1.4.1
    auto outcome = co_await fetch_messages(session, std::move(selection), wanted);
    if (outcome.missing > 0) session.expect_news();
    co_return limited(session, answer_to(outcome), cut);
}

}  // namespace mox::imapd
