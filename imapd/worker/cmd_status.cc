// STATUS (RFC 3501 6.3.10, RFC 9051 6.3.11; SIZE RFC 8438, APPENDLIMIT RFC 7889 4, MAILBOXID RFC 8474 4.3).
#include "imapd/worker/commands.h"
#include "imapd/worker/object_id.h"

namespace mox::imapd {

namespace {

// RFC 9208 4.1.4: what expunging would free; no counter, so the messages are looked at
async::Task<uint64_t> count_deleted_storage(Session& session, std::string name) {
    auto view = MailboxView::load(co_await session.ask(proto::OpenMailbox{std::move(name)}), Access::read_only);
    uint64_t bytes = 0;
    if (!view) co_return bytes;
    for (const auto& row : view->rows())
        if (row.flags & proto::kDeleted) bytes += row.size;
    co_return bytes;
}

}  // namespace

async::Task<void> write_status(Session& session, const proto::Mailbox& mailbox, uint32_t items) {
    std::optional<uint64_t> deleted_storage;
    if (items & kStatusDeletedStorage) deleted_storage = co_await count_deleted_storage(session, mailbox.name);
    std::string out = "* STATUS ";
    session.append_name(out, mailbox.name);
    std::string_view before = " (";
    auto add = [&](uint32_t bit, std::string_view name, uint64_t value) {
        if ((items & bit) == 0) return;
        out += before;
        out += name;
        out += ' ';
        append_number(out, value);
        before = " ";
    };
    add(kStatusMessages, "MESSAGES", mailbox.messages);
    add(kStatusRecent, "RECENT", 0);
    add(kStatusUidNext, "UIDNEXT", mailbox.uidnext);
    add(kStatusUidValidity, "UIDVALIDITY", mailbox.uidvalidity);
    add(kStatusUnseen, "UNSEEN", mailbox.unseen);
    add(kStatusSize, "SIZE", mailbox.size);
    add(kStatusDeleted, "DELETED", mailbox.deleted);
    add(kStatusAppendLimit, "APPENDLIMIT", session.max_message_size());
    add(kStatusHighestModSeq, "HIGHESTMODSEQ", mailbox.highest_modseq);
    if (items & kStatusMailboxId) {  // RFC 8474 4.3
        out += before;
        out += "MAILBOXID (" + mailbox_id(mailbox) + ')';
        before = " ";
    }
    if (deleted_storage) {
        out += before;
        out += "DELETED-STORAGE " + std::to_string(*deleted_storage);
    }
    session.stream().write(out + ")\r\n");
}

// RFC 4314 4: others' mailboxes by the right to read them, whether they are listed or not
async::Task<std::optional<proto::Mailbox>> find_mailbox(Session& session, std::string name) {
    if (!proto::owner_of(name).empty()) {
        auto columns = co_await session.ask(proto::OpenMailbox{std::move(name)});
        co_return std::move(columns.mailbox);
    }
    auto list = co_await session.ask(proto::ListMailboxes{});
    for (auto& mailbox : list.mailboxes)
        if (mailbox.name == name) co_return std::move(mailbox);
    co_return std::nullopt;
}

async::Task<Answer> cmd_status(Session& session, const Command& command) {
    const auto& args = std::get<StatusArguments>(command.arguments);
    auto mailbox = co_await find_mailbox(session, args.name);
    if (!mailbox) co_return Answer{Answer::Status::no, "[NONEXISTENT] no such mailbox"};
    if (args.items & kStatusHighestModSeq) session.enable_condstore();  // RFC 7162 3.1
    co_await write_status(session, *mailbox, args.items);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
