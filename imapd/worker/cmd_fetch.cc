// FETCH and UID FETCH (RFC 3501 6.4.5, 7.4.2), CHANGEDSINCE and VANISHED (RFC 7162 3.1.4, 3.2.6), PARTIAL (RFC
// 9394 3.3).
//
// Three ways by what is asked: from the view alone; with the stored parses; with the files. Each message's answer goes
// to the stream as it is made, and out every 64 KiB, so memory does not depend on the messages. A message expunged
// elsewhere gives what the view has of it, or is passed over and the command answered with NO (RFC 2180 4.1.2).
#include <algorithm>
#include <set>

#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/fetch_answer.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/vanished.h"

namespace mox::imapd {
namespace {

constexpr uint32_t kInfoItems = kFetchEnvelope | kFetchBody | kFetchBodyStructure | kFetchEmailId;
constexpr size_t kSeenAtOnce = 512;  // messages that get \Seen in one change

// What came of a FETCH, for its answer.
struct Outcome {
    size_t missing = 0;
    bool unknown_encoding = false;
};

async::Task<void> fetch_rows(Session& session, Selection selection, uint32_t items) {
    size_t written = 0;
    for (const auto& range : selection) {
        for (uint32_t index = range.begin; index < range.end; index++) {
            FetchAnswer answer(session, index);
            answer.write_row_items(items);
            answer.finish();
            if (++written % 256 == 0) co_await session.flush_some();
        }
    }
}

async::Task<Outcome> fetch_infos(Session& session, Selection selection, uint32_t items) {
    InfoSource source(session, std::move(selection));
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        for (const auto& [index, info, content] : batch) {
            FetchAnswer answer(session, index);
            answer.write_row_items(items);
            answer.write_info_items(info, content, items);
            answer.finish();
            co_await session.flush_some();
        }
    }
    co_return Outcome{source.missing(), false};
}

// Gives \Seen to those of the rows that lack it; their UIDs.
async::Task<std::set<uint32_t>> set_seen(Session& session, const std::vector<uint32_t>& indexes) {
    std::vector<uint32_t> unseen;
    std::set<uint32_t> uids;
    for (uint32_t index : indexes) {
        if (session.view().rows()[index].flags & proto::kSeen) continue;
        unseen.push_back(index);
        uids.insert(session.view().rows()[index].uid);
    }
    if (unseen.empty()) co_return uids;
    auto ranges = session.view().uid_ranges(to_selection(unseen));
    proto::StoreFlags request{session.view().id(), std::move(ranges), proto::StoreMode::add, proto::kSeen, {}, {}};
    auto stored = co_await session.ask(request, "EXPUNGEISSUED");
    session.view().take_stored(stored, request, MailboxView::Told::foreseen);
    session.touch_others();
    session.expect_own_news();
    co_return uids;
}

// Whether the header of the message is all that is looked at.
bool is_header_only(const FetchArguments& args, uint32_t items) {
    using Kind = Section::Kind;
    return !(items & kFetchPreview) && std::ranges::all_of(args.sections, [](const Section& section) {
        bool header = section.kind == Kind::header || section.kind == Kind::header_fields ||
                      section.kind == Kind::header_fields_not;
        return section.numbers.empty() && section.form == Section::Form::body && header;
    });
}

async::Task<Outcome> fetch_files(Session& session, Selection selection, const FetchArguments& args, uint32_t items,
                                 const std::set<uint32_t>& newly_seen) {
    // RFC 3501 6.4.5: a change of flags by the fetch is part of the answer; RFC 7162 3.1: its modseq too
    uint32_t seen_items = items | kFetchFlags | (session.features().condstore ? kFetchModSeq : 0);
    auto parts = is_header_only(args, items) ? proto::MessageParts::beginning : proto::MessageParts::whole;
    FileSource source(session, std::move(selection), parts);
    Outcome outcome;
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        for (const auto& [index, message] : batch) {
            FetchAnswer answer(session, index);
            answer.write_row_items(newly_seen.contains(message.uid()) ? seen_items : items);
            answer.write_info_items(message.info(), message.content(), items);
            if (items & kFetchPreview) answer.write_preview(message);
            for (const auto& section : args.sections) {
                auto written = co_await answer.write_section(message, section);
                outcome.unknown_encoding |= written == FetchAnswer::Written::unknown_encoding;
            }
            answer.finish();
            co_await session.flush_some();
        }
    }
    outcome.missing = source.missing();
    co_return outcome;
}

async::Task<Outcome> fetch_sections(Session& session, Selection selection, const FetchArguments& args, uint32_t items) {
    bool sets_seen = session.view().access() == Access::read_write &&  // RFC 3501 6.3.2: EXAMINE changes nothing
                     std::ranges::any_of(args.sections, [](const auto& section) { return !section.peek; });
    if (!sets_seen) {
        const std::set<uint32_t> none;
        co_return co_await fetch_files(session, std::move(selection), args, items, none);
    }
    SelectionWalk walk(session.view(), std::move(selection));
    Outcome outcome;
    for (;;) {
        auto indexes = walk.next(kSeenAtOnce);
        if (indexes.empty()) break;
        auto newly_seen = co_await set_seen(session, indexes);
        auto piece = co_await fetch_files(session, to_selection(indexes), args, items, newly_seen);
        outcome.missing += piece.missing;
        outcome.unknown_encoding |= piece.unknown_encoding;
    }
    outcome.missing += walk.gone();
    co_return outcome;
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

}  // namespace

async::Task<Answer> cmd_fetch(Session& session, const Command& command) {
    const auto& args = std::get<FetchArguments>(command.arguments);
    auto selection = co_await apply_modifiers(session, command, args);
    uint32_t items = args.items;
    // RFC 3501 6.4.8; in the answer of RFC 9586 3.3 it stands in front already
    if (command.numbers == Numbers::uid && !session.features().uidonly) items |= kFetchUid;
    if (args.changed_since) items |= kFetchModSeq;  // RFC 7162 3.1.4.1
    Outcome outcome;
    if (!args.sections.empty() || (items & kFetchPreview))
        outcome = co_await fetch_sections(session, std::move(selection), args, items);
    else if (items & kInfoItems)
        outcome = co_await fetch_infos(session, std::move(selection), items);
    else
        co_await fetch_rows(session, std::move(selection), items);
    if (outcome.missing > 0) {
        session.expect_news();
        co_return Answer{Answer::Status::no,
                         "[EXPUNGEISSUED] some of the messages do not exist any more"};  // RFC 5530 3
    }
    if (outcome.unknown_encoding) co_return Answer{Answer::Status::no, "[UNKNOWN-CTE] a part cannot be decoded"};
    co_return Answer{Answer::Status::ok, "fetched"};
}

}  // namespace mox::imapd
