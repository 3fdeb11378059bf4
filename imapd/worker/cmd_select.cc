// SELECT, EXAMINE (RFC 3501 6.3.1, 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691).
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

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
    for (size_t i = 0; i < view.rows().size() && !rev2; i++) {
        if (view.rows()[i].flags & proto::kSeen) continue;
        out += "* OK [UNSEEN " + std::to_string(i + 1) + "] first unseen\r\n";
        break;
    }
    out += "* OK [UIDVALIDITY " + std::to_string(view.mailbox().uidvalidity) + "] UIDs are valid\r\n";
    out += "* OK [UIDNEXT " + std::to_string(view.mailbox().uidnext) + "] next UID\r\n";
    if (rev2) {  // RFC 9051 6.3.2
        out += "* LIST () \"/\" ";
        session.append_name(out, view.mailbox().name);
        out += "\r\n";
    }
    session.stream().write(out);
}

}  // namespace

async::Task<Answer> cmd_select(Session& session, const Command& command) {
    // RFC 9051 7.1, RFC 7162 3.2.11: what follows is of the next mailbox
    if (session.selected()) session.untagged("OK [CLOSED] the mailbox before is closed");
    session.deselect();  // RFC 3501 6.3.1: also when the new one cannot be opened
    auto access = command.verb == Verb::examine ? Access::read_only : Access::read_write;
    auto columns = co_await session.ask(proto::OpenMailbox{std::get<MailboxArguments>(command.arguments).name});
    auto view = MailboxView::load(std::move(columns), access);
    if (!view) {
        session.log().error("mailbox cannot be opened", {{"reason", view.error().text}});
        fail_no("[SERVERBUG] the mailbox cannot be opened");
    }
    session.select(std::move(*view));
    write_opened(session, session.view());
    co_return Answer{Answer::Status::ok, access == Access::read_only ? "[READ-ONLY] opened" : "[READ-WRITE] opened"};
}

// RFC 3501 6.4.2: removes what has \Deleted, silently; RFC 3691 2: does not.
async::Task<Answer> cmd_close(Session& session, const Command& command) {
    bool expunge = command.verb == Verb::close && session.view().access() == Access::read_write;
    if (expunge && !session.view().rows().empty()) {
        const auto& rows = session.view().rows();
        std::vector<proto::UidRange> all{{rows.front().uid, rows.back().uid}};
        for (bool more = true; more;) {
            auto expunged = co_await session.account().call(proto::Expunge{session.view().id(), all});
            // A mailbox that is gone has nothing left to remove.
            if (!expunged && expunged.error().code != ErrorCode::not_found)
                fail_storage(expunged.error(), "NONEXISTENT");
            more = expunged && !expunged->uids.empty();
            if (more) session.touch_others();
        }
    }
    session.deselect();
    co_return Answer{Answer::Status::ok, "closed"};
}

}  // namespace mox::imapd
