// FETCH and UID FETCH (RFC 3501 6.4.5, 7.4.2).
//
// Three ways by what is asked: from the view alone; with the stored parses; with the files. Each message's answer goes
// to the stream as it is made, and out every 64 KiB, so memory does not depend on the messages. A message expunged
// elsewhere gives what the view has of it, or is passed over and the command answered with NO (RFC 2180 4.1.2).
#include <algorithm>
#include <array>
#include <set>

#include "common/mail/imap_text.h"
#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

constexpr uint32_t kInfoItems = kFetchEnvelope | kFetchBody | kFetchBodyStructure;
constexpr size_t kMaxHeader = 4 << 20;  // bytes of a header looked at for its fields
constexpr size_t kSeenAtOnce = 512;     // messages that get \Seen in one change

// One answer being written: `* 5 FETCH (...)`.
class FetchAnswer {
  public:
    FetchAnswer(Session& session, uint32_t index) : session_(session) {
        out_ = "* ";
        append_number(out_, index + 1);
        out_ += " FETCH (";
    }
    std::string& item(std::string_view name) {
        if (!first_) out_ += ' ';
        first_ = false;
        out_ += name;
        out_ += ' ';
        return out_;
    }
    // Hands what is written so far to the stream, before content that goes there directly.
    void hand_over() {
        session_.stream().write(out_);
        out_.clear();
    }
    void finish() {
        out_ += ")\r\n";
        hand_over();
    }

  private:
    Session& session_;
    std::string out_;
    bool first_ = true;
};

void write_row_items(FetchAnswer& answer, const MailboxView& view, uint32_t index, uint32_t items) {
    const auto& row = view.rows()[index];
    if (items & kFetchUid) append_number(answer.item("UID"), row.uid);
    if (items & kFetchFlags) view.append_flags(answer.item("FLAGS"), row);
    if (items & kFetchInternalDate) {
        auto& out = answer.item("INTERNALDATE");
        out += '"';
        out += mail::format_internal_date({row.received, row.received_zone});
        out += '"';
    }
    if (items & kFetchSize) append_number(answer.item("RFC822.SIZE"), row.size);
}

void write_info_items(FetchAnswer& answer, const mail::MessageInfo& info, uint32_t items, const Features& features) {
    auto utf8 = features.strings();
    if (items & kFetchEnvelope) {
        auto root = info.parts[0].envelope;
        mail::append_envelope(answer.item("ENVELOPE"), root ? info.envelopes[*root] : mail::Envelope{}, utf8);
    }
    if (items & kFetchBody)
        mail::append_body(answer.item("BODY"), info, 0, mail::BodyForm::body, utf8, features.revision());
    if (items & kFetchBodyStructure)
        mail::append_body(answer.item("BODYSTRUCTURE"), info, 0, mail::BodyForm::bodystructure, utf8,
                          features.revision());
}

// RFC 3501 6.4.5: what a partial leaves; beyond the end nothing.
mail::Range cut(mail::Range range, const std::optional<Section::Partial>& partial) {
    if (!partial) return range;
    uint64_t skip = std::min(partial->offset, range.length);
    return {range.offset + skip, std::min(partial->count, range.length - skip)};
}

void append_literal_start(std::string& out, uint64_t size) {
    out += '{';
    append_number(out, size);
    out += "}\r\n";
}

// Content goes from the file to the client in pieces. When the file fails, the promised size cannot be kept: the
// connection ends.
async::Task<void> send_range(Session& session, const StoredMessage& message, mail::Range range) {
    std::array<char, 32 * 1024> piece;
    while (range.length > 0) {
        size_t n = message.read(range.offset, std::span(piece).first(std::min<uint64_t>(piece.size(), range.length)));
        if (n == 0) {
            session.log().error("message file cannot be read", {{"uid", message.uid()}});
            throw async::ConnectionLost("message file cannot be read");
        }
        session.stream().write({piece.data(), n});
        range.offset += n;
        range.length -= n;
        co_await session.flush_some();
    }
}

async::Task<void> write_section(Session& session, FetchAnswer& answer, const StoredMessage& message,
                                const Section& section) {
    auto& out = answer.item(section.label);
    auto range = message.locate(section);
    if (!range) {
        out += "NIL";  // no such part
        co_return;
    }
    using Kind = Section::Kind;
    if (section.kind == Kind::header_fields || section.kind == Kind::header_fields_not) {
        auto select = section.kind == Kind::header_fields ? mail::Select::listed : mail::Select::not_listed;
        auto fields = mail::select_header_fields(message.read(*range, kMaxHeader), section.fields, select);
        auto part = cut({0, fields.size()}, section.partial);
        append_literal_start(out, part.length);
        out += std::string_view(fields).substr(part.offset, part.length);
        co_return;
    }
    auto part = cut(*range, section.partial);
    append_literal_start(out, part.length);
    answer.hand_over();
    co_await send_range(session, message, part);
}

async::Task<void> fetch_rows(Session& session, Selection selection, uint32_t items) {
    size_t written = 0;
    for (const auto& range : selection) {
        for (uint32_t index = range.begin; index < range.end; index++) {
            FetchAnswer answer(session, index);
            write_row_items(answer, session.view(), index, items);
            answer.finish();
            if (++written % 256 == 0) co_await session.flush_some();
        }
    }
}

async::Task<size_t> fetch_infos(Session& session, Selection selection, uint32_t items) {
    InfoSource source(session, std::move(selection));
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        for (const auto& [index, info] : batch) {
            FetchAnswer answer(session, index);
            write_row_items(answer, session.view(), index, items);
            write_info_items(answer, info, items, session.features());
            answer.finish();
            co_await session.flush_some();
        }
    }
    co_return source.missing();
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
    auto stored = co_await session.ask(std::move(request), "EXPUNGEISSUED");
    session.view().take_stored(stored.rows, std::move(stored.keywords));
    session.touch_others();
    co_return uids;
}

async::Task<size_t> fetch_files(Session& session, Selection selection, const FetchArguments& args, uint32_t items,
                                const std::set<uint32_t>& newly_seen) {
    FileSource source(session, std::move(selection));
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        for (const auto& [index, message] : batch) {
            FetchAnswer answer(session, index);
            // RFC 3501 6.4.5: a change of flags by the fetch is part of the answer
            bool seen = newly_seen.contains(message.uid());
            write_row_items(answer, session.view(), index, seen ? items | kFetchFlags : items);
            write_info_items(answer, message.info(), items, session.features());
            for (const auto& section : args.sections) co_await write_section(session, answer, message, section);
            answer.finish();
            co_await session.flush_some();
        }
    }
    co_return source.missing();
}

async::Task<size_t> fetch_sections(Session& session, Selection selection, const FetchArguments& args, uint32_t items) {
    bool sets_seen = session.view().access() == Access::read_write &&  // RFC 3501 6.3.2: EXAMINE changes nothing
                     std::ranges::any_of(args.sections, [](const auto& section) { return !section.peek; });
    if (!sets_seen) {
        const std::set<uint32_t> none;
        co_return co_await fetch_files(session, std::move(selection), args, items, none);
    }
    SelectionWalk walk(session.view(), std::move(selection));
    size_t missing = 0;
    for (;;) {
        auto indexes = walk.next(kSeenAtOnce);
        if (indexes.empty()) break;
        auto newly_seen = co_await set_seen(session, indexes);
        missing += co_await fetch_files(session, to_selection(indexes), args, items, newly_seen);
    }
    co_return missing + walk.gone();
}

}  // namespace

async::Task<Answer> cmd_fetch(Session& session, const Command& command) {
    const auto& args = std::get<FetchArguments>(command.arguments);
    auto selection = session.view().select(args.set, command.numbers);
    uint32_t items = args.items;
    if (command.numbers == Numbers::uid) items |= kFetchUid;  // RFC 3501 6.4.8
    size_t missing = 0;
    if (!args.sections.empty())
        missing = co_await fetch_sections(session, std::move(selection), args, items);
    else if (items & kInfoItems)
        missing = co_await fetch_infos(session, std::move(selection), items);
    else
        co_await fetch_rows(session, std::move(selection), items);
    if (missing > 0) {
        session.expect_news();
        co_return Answer{Answer::Status::no,
                         "[EXPUNGEISSUED] some of the messages do not exist any more"};  // RFC 5530 3
    }
    co_return Answer{Answer::Status::ok, "fetched"};
}

}  // namespace mox::imapd
