// SELECT, EXAMINE (RFC 3501 6.3.1, 6.3.2) with QRESYNC (RFC 7162 3.2.5), CLOSE (6.4.2), UNSELECT (RFC 3691).
#include "imapd/worker/commands.h"
#include "imapd/worker/object_id.h"
#include "imapd/worker/vanished.h"

namespace mox::imapd {
namespace {

constexpr uint32_t kChangingRights =
    proto::kInsertRight | proto::kExpungeRight | proto::kSeenRight | proto::kWriteRight | proto::kDeleteMessageRight;

void write_opened(Session& session, const MailboxView& view) {
    bool rev2 = session.features().rev2;
    std::string out = "* FLAGS ";
    view.append_known_flags(out);
    out += "\r\n* OK [PERMANENTFLAGS ";
    view.append_permanent_flags(out);
    out += "] flags can be changed\r\n* ";
    append_number(out, view.rows().size());
    out += " EXISTS\r\n";
    // RFC 3501 2.3.2: \Recent is never given, so none is recent; RFC 9051 has done away with it and with UNSEEN
    if (!rev2) out += "* 0 RECENT\r\n";
    bool tells_unseen = !rev2 && !session.features().uidonly;  // it is a message number
    for (size_t i = 0; i < view.rows().size() && tells_unseen; i++) {
        if (view.rows()[i].flags & proto::kSeen) continue;
        out += "* OK [UNSEEN " + std::to_string(i + 1) + "] first unseen\r\n";
        break;
    }
    out += "* OK [UIDVALIDITY " + std::to_string(view.mailbox().uidvalidity) + "] UIDs are valid\r\n";
    out += "* OK [UIDNEXT " + std::to_string(view.mailbox().uidnext) + "] next UID\r\n";
    out += "* OK [HIGHESTMODSEQ " + std::to_string(view.told_modseq()) + "] highest\r\n";  // RFC 7162 3.1.2.1
    out += "* OK [MAILBOXID (" + mailbox_id(view.mailbox()) + ")] for ever\r\n";           // RFC 8474 4.2
    if (rev2) {                                                                            // RFC 9051 6.3.2
        out += "* LIST () \"/\" ";
        session.append_name(out, view.mailbox().name);
        out += "\r\n";
    }
    session.stream().write(out);
    session.tell_url_mechanisms();
}

void write_changed(Session& session, uint32_t index) {
    const auto& view = session.view();
    const auto& row = view.rows()[index];
    std::string out;
    view.append_fetch_start(out, index, session.features());
    if (!session.features().uidonly) out += "UID " + std::to_string(row.uid) + ' ';
    out += "FLAGS ";
    view.append_flags(out, row);
    out += " MODSEQ (" + std::to_string(row.modseq) + "))\r\n";
    session.stream().write(out);
}

// RFC 7162 3.2.5.1: what is gone, then what changed, of the messages the client knows
async::Task<void> resynchronise(Session& session, SelectArguments::Resync resync) {
    const auto& view = session.view();
    // RFC 7162 3.2.5: for another UIDVALIDITY it is as if there were no parameters
    if (resync.uidvalidity != view.mailbox().uidvalidity || view.mailbox().uidnext < 2) co_return;
    std::vector<SequenceRange> known{{1, view.mailbox().uidnext - 1}};
    if (resync.known_uids) known = intersect(known, view.uids_of(*resync.known_uids, Numbers::uid));
    co_await tell_vanished(session, resync.modseq, known);
    for (uint32_t index = 0; index < view.rows().size(); index++) {
        const auto& row = view.rows()[index];
        if (row.modseq <= resync.modseq || !contains(known, row.uid)) continue;
        write_changed(session, index);
        co_await session.flush_some();
    }
}

}  // namespace

async::Task<Answer> cmd_select(Session& session, const Command& command) {
    const auto& args = std::get<SelectArguments>(command.arguments);
    // RFC 7162 3.2.5
    if (args.resync && !session.features().qresync) fail_bad("QRESYNC needs ENABLE QRESYNC");
    if (args.resync && args.resync->has_sequence_match && session.features().uidonly)
        fail_bad("[UIDREQUIRED] message numbers are given up");  // RFC 9586 3
    // RFC 9051 7.1, RFC 7162 3.2.11: what follows is of the next mailbox
    if (session.selected()) session.untagged("OK [CLOSED] the mailbox before is closed");
    session.deselect();  // RFC 3501 6.3.1: also when the new one cannot be opened
    if (args.condstore) session.enable_condstore();
    auto access = command.verb == Verb::examine ? Access::read_only : Access::read_write;
    auto columns = co_await session.ask(proto::OpenMailbox{args.name});
    auto view = MailboxView::load(std::move(columns), access);
    if (!view) {
        session.log().error("mailbox cannot be opened", {{"reason", view.error().text}});
        fail_no("[SERVERBUG] the mailbox cannot be opened");
    }
    session.select(std::move(*view));
    write_opened(session, session.view());
    if (args.resync) co_await resynchronise(session, *args.resync);
    // RFC 4314 5.2: all flags are shared, so any right to change one counts
    bool writes = access == Access::read_write && session.view().may(kChangingRights);
    co_return Answer{Answer::Status::ok, writes ? "[READ-WRITE] opened" : "[READ-ONLY] opened"};
}

// RFC 3501 6.4.2: removes what has \Deleted, silently; RFC 3691 2: does not.
async::Task<Answer> cmd_close(Session& session, const Command& command) {
    bool expunge = command.verb == Verb::close && session.view().access() == Access::read_write;
    if (expunge && !session.view().rows().empty()) {
        const auto& rows = session.view().rows();
        std::vector<proto::UidRange> all{{rows.front().uid, rows.back().uid}};
        for (bool more = true; more;) {
            auto expunged = co_await session.account().call(proto::Expunge{session.view().id(), all});
            // A mailbox that is gone has nothing left to remove; RFC 4314 4: nor has who may not expunge.
            if (!expunged && expunged.error().code != ErrorCode::not_found &&
                expunged.error().code != ErrorCode::denied)
                fail_storage(expunged.error(), "NONEXISTENT");
            more = expunged && !expunged->uids.empty();
            if (more) session.touch_others();
        }
    }
    session.deselect();
    co_return Answer{Answer::Status::ok, "closed"};
}

}  // namespace mox::imapd
