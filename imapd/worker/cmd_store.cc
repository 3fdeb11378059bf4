// STORE and UID STORE (RFC 3501 6.4.6). Messages expunged elsewhere are passed over (RFC 2180 4.2).
#include "imapd/worker/commands.h"

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

void write_flags(Session& session, const proto::MessageRow& stored, Numbers numbers) {
    auto index = session.view().find(stored.uid);
    if (!index) return;
    std::string out = "* ";
    append_number(out, *index + 1);
    out += " FETCH (";
    if (numbers == Numbers::uid) {  // RFC 3501 6.4.8
        out += "UID ";
        append_number(out, stored.uid);
        out += ' ';
    }
    out += "FLAGS ";
    session.view().append_flags(out, session.view().rows()[*index]);
    out += ")\r\n";
    session.stream().write(out);
}

}  // namespace

async::Task<Answer> cmd_store(Session& session, const Command& command) {
    session.need_write_access();
    const auto& args = std::get<StoreArguments>(command.arguments);
    auto& view = session.view();
    auto selection = view.select(args.set, command.numbers);
    std::vector<std::string> keywords;
    for (const auto& keyword : args.flags.keywords) keywords.push_back(view.spelling(keyword));
    for (const auto& piece : split(selection)) {
        proto::StoreFlags request{view.id(), view.uid_ranges(piece), store_mode(args.mode), args.flags.bits, keywords,
                                  {}};
        auto stored = co_await session.ask(std::move(request));
        view.take_stored(stored.rows, std::move(stored.keywords));
        session.touch_others();
        std::string out;
        view.announce_keywords(out);  // RFC 3501 7.2.6: FLAGS stands before the first use of a new keyword
        session.stream().write(out);
        if (args.silent) continue;
        for (const auto& row : stored.rows) {
            write_flags(session, row, command.numbers);
            co_await session.flush_some();
        }
    }
    co_return Answer{Answer::Status::ok, "stored"};
}

}  // namespace mox::imapd
