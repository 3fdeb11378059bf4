// CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 6.3.3 to 6.3.7, RFC 6154 3).
#include "imapd/worker/commands.h"
#include "imapd/worker/object_id.h"

namespace mox::imapd {

async::Task<Answer> cmd_create(Session& session, const Command& command) {
    auto args = std::get<CreateArguments>(command.arguments);
    // RFC 3501 6.3.3: a trailing separator says that names below it will follow; the mailbox is made all the same
    if (args.name.size() > 1 && args.name.ends_with('/')) args.name.pop_back();
    if (args.unknown_special_use) fail_no("[USEATTR] no mailbox can have that use");  // RFC 6154 3
    auto created = co_await session.ask(proto::CreateMailbox{args.name, args.special_use});
    if (session.watch()) session.watch()->note_created(created.created);
    if (created.created.empty()) co_return Answer{Answer::Status::ok, "created"};
    // RFC 8474 4.1
    co_return Answer{Answer::Status::ok, "[MAILBOXID (" + mailbox_id(created.created.back()) + ")] created"};
}

async::Task<Answer> cmd_delete(Session& session, const Command& command) {
    const auto& name = std::get<MailboxArguments>(command.arguments).name;
    co_await session.ask(proto::DeleteMailbox{name});
    if (session.watch()) session.watch()->note_deleted(name);
    session.expect_news();  // it may be the selected one
    co_return Answer{Answer::Status::ok, "deleted"};
}

async::Task<Answer> cmd_rename(Session& session, const Command& command) {
    const auto& args = std::get<RenameArguments>(command.arguments);
    co_await session.ask(proto::RenameMailbox{args.from, args.to});
    session.note_renamed(args.from, args.to);
    session.expect_news();  // RFC 3501 6.3.5: renaming INBOX empties it
    co_return Answer{Answer::Status::ok, "renamed"};
}

async::Task<Answer> cmd_subscribe(Session& session, const Command& command) {
    auto what = command.verb == Verb::subscribe ? proto::Subscription::subscribe : proto::Subscription::unsubscribe;
    const auto& name = std::get<MailboxArguments>(command.arguments).name;
    co_await session.ask(proto::Subscribe{name, what});
    if (session.watch()) session.watch()->note_subscription(name, what);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
