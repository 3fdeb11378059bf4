// STORE and UID STORE (RFC 3501 6.4.6), conditional by RFC 7162 3.1.3. Messages expunged elsewhere are passed over
// (RFC 2180 4.2).
#include <algorithm>

#include "imapd/worker/commands.h"
#include "imapd/worker/message_limit.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxPerStore = 20'000;
static_assert(kMaxPerStore <= proto::kMaxMessagesPerStore);

proto::StoreMode store_mode(StoreArguments::Mode mode) {
    switch (mode) {
        case StoreArguments::Mode::add:
            return proto::StoreMode::add;
        case StoreArguments::Mode::remove:
            return proto::StoreMode::remove;
        default:
            return proto::StoreMode::replace;
    }
}

// The selection in pieces of at most kMaxPerStore messages.
std::vector<Selection> split(const Selection& selection) {
    std::vector<Selection> pieces;
    size_t room = 0;
    for (auto range : selection) {
        while (range.begin < range.end) {
            if (room == 0) {
                pieces.emplace_back();
                room = kMaxPerStore;
            }
            auto n = static_cast<uint32_t>(std::min<size_t>(room, range.size()));
            pieces.back().push_back({range.begin, range.begin + n});
            range.begin += n;
            room -= n;
        }
    }
    return pieces;
}

// What a row of the answer tells; a silent STORE tells the modseq alone (RFC 7162 3.1.3).
void write_stored(Session& session, uint32_t uid, const Command& command, bool silent) {
    const auto& features = session.features();
    auto index = session.view().find(uid);
    if (!index || (silent && !features.condstore)) return;
    const auto& row = session.view().rows()[*index];
    std::string out;
    session.view().append_fetch_start(out, *index, features);
    // RFC 3501 6.4.8; RFC 7162 3.2.3: with QRESYNC always
    if (!features.uidonly && (command.numbers == Numbers::uid || features.qresync)) {
        out += "UID ";
        append_number(out, uid);
        out += ' ';
    }
    if (!silent) {
        out += "FLAGS ";
        session.view().append_flags(out, row);
    }
    if (features.condstore) {
        out += silent ? "MODSEQ (" : " MODSEQ (";
        append_number(out, row.modseq);
        out += ')';
    }
    out += ")\r\n";
    session.stream().write(out);
}

// RFC 7162 3.1.3: numbers as the command has them
void add_failed(const Session& session, const proto::FlagsStored& stored, Numbers numbers, SetWriter& failed) {
    for (proto::Uid uid : stored.unchanged_since_failed) {
        auto index = session.view().find(uid.value);
        if (index) failed.add(numbers == Numbers::uid ? uid.value : *index + 1);
    }
}

async::Task<void> write_answers(Session& session, const Command& command, const proto::FlagsStored& stored) {
    bool silent = std::get<StoreArguments>(command.arguments).silent;
    for (const auto& row : stored.rows) {
        if (std::ranges::binary_search(stored.unchanged_since_failed, row.uid, {}, &proto::Uid::value)) continue;
        write_stored(session, row.uid, command, silent);
        co_await session.flush_some();
    }
}

}  // namespace

async::Task<Answer> cmd_store(Session& session, const Command& command) {
    session.need_write_access();
    const auto& args = std::get<StoreArguments>(command.arguments);
    auto& view = session.view();
    auto selection = view.select(args.set, command.numbers);
    auto cut = cut_to_last(view, selection, session.message_limit());
    if (args.unchanged_since) session.enable_condstore();
    std::vector<std::string> keywords;
    for (const auto& keyword : args.flags.keywords) keywords.push_back(view.spelling(keyword));
    SetWriter failed;
    auto pieces = split(selection);
    if (cut) std::ranges::reverse(pieces);  // RFC 9738 3.1: from the highest UID to the lowest
    for (const auto& piece : pieces) {
        proto::StoreFlags request{view.id(), view.uid_ranges(piece), store_mode(args.mode), args.flags.bits,
                                  keywords,  args.unchanged_since};
        auto stored = co_await session.ask(request);
        view.take_stored(stored, request, args.silent ? MailboxView::Told::foreseen : MailboxView::Told::all);
        session.touch_others();
        std::string out;
        view.announce_keywords(out);  // RFC 3501 7.2.6: FLAGS stands before the first use of a new keyword
        session.stream().write(out);
        add_failed(session, stored, command.numbers, failed);
        if (cut) std::ranges::reverse(stored.rows);
        co_await write_answers(session, command, stored);
    }
    session.expect_own_news();
    std::string modified = failed.take();
    if (!modified.empty()) modified = "[MODIFIED " + modified + "] some were changed by others";
    co_return limited(session, {Answer::Status::ok, modified.empty() ? "stored" : std::move(modified)}, cut);
}

}  // namespace mox::imapd
