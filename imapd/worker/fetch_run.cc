#include "imapd/worker/fetch_run.h"

#include <algorithm>
#include <set>

#include "imapd/worker/batches.h"
#include "imapd/worker/fetch_answer.h"
#include "imapd/worker/thread_ids.h"

namespace mox::imapd {
namespace {

constexpr uint32_t kInfoItems = kFetchEnvelope | kFetchBody | kFetchBodyStructure | kFetchEmailId;
constexpr uint64_t kPreviewed = 64u << 10;  // a preview is made of no more
constexpr size_t kSeenAtOnce = 512;         // messages that get \Seen in one change

async::Task<void> fetch_rows(Session& session, Selection selection, uint32_t items, const ThreadIds& threads) {
    size_t written = 0;
    for (const auto& range : selection) {
        for (uint32_t index = range.begin; index < range.end; index++) {
            FetchAnswer answer(session, index);
            answer.write_row_items(items, threads);
            answer.finish();
            if (++written % 256 == 0) co_await session.flush_some();
        }
    }
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
    std::ranges::sort(unseen);
    auto ranges = session.view().uid_ranges(to_selection(unseen));
    proto::StoreFlags request{session.view().id(), std::move(ranges), proto::StoreMode::add, proto::kSeen, {}, {}};
    auto stored = co_await session.account().call(request);
    if (!stored && stored.error().code == ErrorCode::denied) co_return std::set<uint32_t>{};  // RFC 4314 4: FETCH
    if (!stored) fail_storage(stored.error(), "EXPUNGEISSUED");
    session.view().take_stored(*stored, request, MailboxView::Told::foreseen);
    session.touch_others();
    session.expect_own_news();
    co_return uids;
}

// RFC 3501 6.4.5: a change of flags by the fetch is part of the answer; RFC 7162 3.1: its modseq too
uint32_t with_seen(const Session& session, uint32_t items) {
    return items | kFetchFlags | (session.features().condstore ? kFetchModSeq : 0);
}

// Whether the header of the message is all that is looked at.
bool is_header_only(const FetchAttributes& wanted) {
    using Kind = Section::Kind;
    return !(wanted.items & kFetchPreview) && std::ranges::all_of(wanted.sections, [](const Section& section) {
        bool header = section.kind == Kind::header || section.kind == Kind::header_fields ||
                      section.kind == Kind::header_fields_not;
        return section.numbers.empty() && section.form == Section::Form::body && header;
    });
}

// Whether the stored parses have all that is looked at, of nearly all messages.
bool is_listed_only(const FetchAttributes& wanted) {
    return !(wanted.items & kFetchPreview) && std::ranges::all_of(wanted.sections, [](const Section& section) {
        return section.kind == Section::Kind::header_fields && section.numbers.empty() &&
               section.form == Section::Form::body && std::ranges::all_of(section.fields, mail::is_listed_field);
    });
}

mail::InfoNeeds needs_of(const FetchAttributes& wanted) {
    bool structure = (wanted.items & (kFetchBody | kFetchBodyStructure)) != 0;
    bool envelope = (wanted.items & kFetchEnvelope) != 0;
    bool listed = !wanted.sections.empty();
    if (structure + envelope + listed > 1) return mail::InfoNeeds::all;
    if (listed) return mail::InfoNeeds::listed;
    return structure ? mail::InfoNeeds::structure : mail::InfoNeeds::envelope;
}

bool is_readable(const StoredMessage& message, const FetchAttributes& wanted) {
    Section beginning;
    beginning.partial = Section::Partial{0, kPreviewed};
    if ((wanted.items & kFetchPreview) && !message.is_readable(beginning)) return false;
    return std::ranges::all_of(wanted.sections, [&](const Section& section) { return message.is_readable(section); });
}

// That they are \Seen now is all that is told of those that cannot be read.
void tell_seen(Session& session, const std::vector<uint32_t>& damaged, const std::set<uint32_t>& newly_seen,
               uint32_t items, const ThreadIds& threads) {
    for (uint32_t uid : damaged) {
        auto index = session.view().find(uid);
        if (!index || !newly_seen.contains(uid)) continue;
        FetchAnswer answer(session, *index);
        answer.write_row_items(items, threads);
        answer.finish();
    }
}

async::Task<FetchOutcome> fetch_files(Session& session, Selection selection, const FetchAttributes& wanted,
                                      const std::set<uint32_t>& newly_seen, const ThreadIds& threads) {
    uint32_t items = wanted.items;
    uint32_t seen_items = with_seen(session, items);
    auto parts = is_header_only(wanted) ? proto::MessageParts::beginning : proto::MessageParts::whole;
    FileSource source(session, std::move(selection), parts);
    source.pass_damaged();
    FetchOutcome outcome;
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        for (const auto& [index, message] : batch) {
            if (!is_readable(message, wanted)) {
                source.note_damaged(message.uid());
                continue;
            }
            FetchAnswer answer(session, index);
            answer.write_row_items(newly_seen.contains(message.uid()) ? seen_items : items, threads);
            if (items & kInfoItems) answer.write_info_items(message.info(), message.content(), items);
            if (items & kFetchPreview) answer.write_preview(message);
            for (const auto& section : wanted.sections) {
                auto written = co_await answer.write_section(message, section);
                outcome.unknown_encoding |= written == Written::unknown_encoding;
            }
            answer.finish();
            co_await session.flush_some();
        }
    }
    outcome.missing = source.missing();
    outcome.damaged = source.damaged();
    tell_seen(session, outcome.damaged, newly_seen, seen_items, threads);
    co_return outcome;
}

// From the stored parses; the messages whose parse lacks what is wanted, from their files.
async::Task<FetchOutcome> fetch_infos(Session& session, Selection selection, const FetchAttributes& wanted,
                                      const std::set<uint32_t>& newly_seen, const ThreadIds& threads) {
    InfoSource source(session, std::move(selection));
    source.need(needs_of(wanted));
    if (!wanted.sections.empty()) source.want_prefix();
    uint32_t items = wanted.items;
    FetchOutcome outcome;
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        std::vector<uint32_t> unlisted;
        for (const auto& row : batch) {
            if (!wanted.sections.empty() && !row.info.listed_fields) {
                unlisted.push_back(row.index);
                continue;
            }
            FetchAnswer answer(session, row.index);
            bool seen = newly_seen.contains(session.view().rows()[row.index].uid);
            answer.write_row_items(seen ? with_seen(session, items) : items, threads);
            answer.write_info_items(row.info, row.content, items);
            for (const auto& section : wanted.sections) answer.write_listed(row.prefix, row.info, section);
            answer.finish();
            co_await session.flush_some();
        }
        if (!unlisted.empty())
            outcome.add(co_await fetch_files(session, to_selection(unlisted), wanted, newly_seen, threads));
    }
    outcome.missing += source.missing();
    co_return outcome;
}

async::Task<FetchOutcome> fetch_contents(Session& session, Selection selection, const FetchAttributes& wanted,
                                         const std::set<uint32_t>& newly_seen, const ThreadIds& threads) {
    return is_listed_only(wanted) ? fetch_infos(session, std::move(selection), wanted, newly_seen, threads)
                                  : fetch_files(session, std::move(selection), wanted, newly_seen, threads);
}

async::Task<FetchOutcome> fetch_sections(Session& session, Selection selection, const FetchAttributes& wanted,
                                         const ThreadIds& threads) {
    bool sets_seen = session.view().access() == Access::read_write &&  // RFC 3501 6.3.2: EXAMINE changes nothing
                     session.view().may(proto::kSeenRight) &&          // RFC 4314 4
                     std::ranges::any_of(wanted.sections, [](const auto& section) { return !section.peek; });
    if (!sets_seen) {
        const std::set<uint32_t> none;
        co_return co_await fetch_contents(session, std::move(selection), wanted, none, threads);
    }
    SelectionWalk walk(session.view(), std::move(selection));
    FetchOutcome outcome;
    for (;;) {
        auto indexes = walk.next(kSeenAtOnce);
        if (indexes.empty()) break;
        auto newly_seen = co_await set_seen(session, indexes);
        outcome.add(co_await fetch_contents(session, to_selection(indexes), wanted, newly_seen, threads));
    }
    outcome.missing += walk.gone();
    co_return outcome;
}

async::Task<FetchOutcome> fetch_piece(Session& session, Selection selection, const FetchAttributes& wanted,
                                      const ThreadIds& threads) {
    if (!wanted.sections.empty() || (wanted.items & kFetchPreview))
        co_return co_await fetch_sections(session, std::move(selection), wanted, threads);
    const std::set<uint32_t> none;
    if (wanted.items & kInfoItems) co_return co_await fetch_infos(session, std::move(selection), wanted, none, threads);
    co_await fetch_rows(session, std::move(selection), wanted.items, threads);
    co_return FetchOutcome{};
}

}  // namespace

void FetchOutcome::add(FetchOutcome other) {
    missing += other.missing;
    unknown_encoding |= other.unknown_encoding;
    damaged.insert(damaged.end(), other.damaged.begin(), other.damaged.end());
}

async::Task<FetchOutcome> fetch_messages(Session& session, Selection selection, const FetchAttributes& wanted) {
    if (!(wanted.items & kFetchThreadId)) {
        const ThreadIds none;
        co_return co_await fetch_piece(session, std::move(selection), wanted, none);
    }
    SelectionWalk walk(session.view(), std::move(selection));
    FetchOutcome outcome;
    for (;;) {
        auto indexes = walk.next(proto::kMaxThreadsPerGet);
        if (indexes.empty()) break;
        auto threads = co_await load_threads(session, indexes);
        outcome.add(co_await fetch_piece(session, to_selection(indexes), wanted, threads));
    }
    outcome.missing += walk.gone();
    co_return outcome;
}

}  // namespace mox::imapd
