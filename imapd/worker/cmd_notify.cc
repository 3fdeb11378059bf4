// NOTIFY (RFC 5465 3.1).
#include "imapd/worker/commands.h"
#include "imapd/worker/notifier.h"

namespace mox::imapd {
namespace {

// RFC 5465 3.1: what was withheld of the selected mailbox is told, whatever the client wants to hear from now on.
async::Task<void> tell_all(Session& session) {
    session.set_notifier({});
    session.expect_news();
    co_await session.update(Announce::all);
}

}  // namespace

async::Task<Answer> cmd_notify(Session& session, const Command& command) {
    const auto& args = std::get<NotifyArguments>(command.arguments);
    if (args.unsupported)  // RFC 5465 3.1, 8
        fail_no(
            "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange "
            "ServerMetadataChange)] no such event");
    auto next = std::make_unique<Notifier>(session, args.groups);
    if (next->watch().needs_list()) {
        auto list = co_await session.ask(proto::ListMailboxes{});
        if (!next->watch().take_list(list, next->context()))
            fail_no("[NOTIFICATIONOVERFLOW] too many mailboxes to watch");
    }
    if (!args.groups.empty()) co_await tell_all(session);
    if (next->attributes().items & kFetchModSeq) session.enable_condstore();  // RFC 7162 3.1
    if (args.status) {
        for (const auto& status : next->watch().initial_statuses(next->context())) {
            co_await write_status(session, status.mailbox, status.items);
            co_await session.flush_some();
        }
    }
    next->list_changed();  // what happened since the list was read
    session.set_notifier(std::move(next));
    co_return Answer{Answer::Status::ok, args.groups.empty() ? "nothing is told" : "will tell"};
}

}  // namespace mox::imapd
