#include "imapd/worker/copy_between.h"

#include "imapd/worker/batches.h"
#include "imapd/worker/incoming_message.h"
#include "imapd/worker/message_limit.h"

namespace mox::imapd {
namespace {

// So that all fits into one request to storaged.
constexpr size_t kMaxFiles = 50;
constexpr size_t kMaxMemory = 2 << 20;

// What an APPEND of the same message would say of it.
AppendStep step_for(const MailboxView& view, const proto::MessageRow& row) {
    AppendStep step;
    step.kind = AppendStep::Kind::message;
    step.flags.bits = row.flags;
    for (size_t bit = 0; bit < view.keywords().size(); bit++)
        if ((row.keywords >> bit & 1) != 0 && !view.keywords()[bit].empty())
            step.flags.keywords.push_back(view.keywords()[bit]);
    step.date = mail::DateTime{row.received, row.received_zone};
    return step;
}

async::Task<void> read_into(IncomingMessage& to, const StoredMessage& from) {
    std::string piece(64 * 1024, '\0');
    for (uint64_t at = 0; at < from.size();) {
        size_t n = from.read(at, piece);
        if (n == 0) fail_no("[UNAVAILABLE] a message cannot be read");
        co_await to.add(std::string_view(piece).substr(0, n));
        at += n;
    }
}

}  // namespace

bool is_elsewhere(const Session& session, const std::string& mailbox) {
    return proto::owner_of(session.view().mailbox().name) != proto::owner_of(mailbox);
}

async::Task<proto::MessagesCopied> copy_between(Session& session, Selection selection, std::string mailbox) {
    check_save_limit(session, count(selection));  // RFC 9738 3.1
    const auto& view = session.view();
    std::vector<proto::AppendItem> items;
    std::vector<uint32_t> uids;
    size_t memory = 0;
    size_t files = 0;
    FileSource source(session, view, std::move(selection));
    for (auto batch = co_await source.next(); !batch.empty(); batch = co_await source.next()) {
        for (const auto& [index, message] : batch) {
            if (memory > kMaxMemory || files == kMaxFiles) fail_no("[LIMIT] too much at once for another account");
            IncomingMessage copy(session.account(), step_for(view, view.rows()[index]));
            co_await read_into(copy, message);
            memory += copy.finish();
            files += copy.has_file();
            if (copy.error()) fail_no("[UNAVAILABLE] " + copy.error()->text);
            items.push_back(copy.give());
            uids.push_back(message.uid());
        }
    }
    proto::MessagesCopied copied{};
    if (items.empty()) co_return copied;
    auto appended = co_await session.ask(proto::AppendMessages{std::move(mailbox), std::move(items)}, "TRYCREATE");
    copied.uidvalidity = appended.uidvalidity;
    copied.mailbox = appended.mailbox;
    for (size_t i = 0; i < uids.size() && i < appended.uids.size(); i++)
        copied.uids.push_back({uids[i], appended.uids[i].value});
    co_return copied;
}

async::Task<void> remove_copied(Session& session, std::vector<proto::UidRange> uids) {
    auto id = session.view().id();
    co_await session.ask(proto::StoreFlags{id, uids, proto::StoreMode::add, proto::kDeleted, {}, {}}, "EXPUNGEISSUED");
    co_await session.ask(proto::Expunge{id, std::move(uids)}, "EXPUNGEISSUED");
}

}  // namespace mox::imapd
