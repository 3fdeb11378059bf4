#include "storaged/account_channel.h"

#include "storaged/complete.h"
#include "storaged/delivery.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxSpools = 100;
constexpr auto kWaitForWorker = std::chrono::seconds(60);

}  // namespace

AccountChannel::AccountChannel(Engine& engine, Account& account, Fd socket, ipc::Role peer)
    : engine_(engine),
      account_(account),
      spools_(engine, kMaxSpools),
      channel_(std::move(socket), {peer, std::string(ipc::to_string(peer)) + " " + account.name()}) {
    if (peer == ipc::Role::moxctl)
        channel_.serve(proto::AdminAccountMessages{}, *this);
    else
        channel_.serve(proto::AccountMessages{}, *this);
    scope_.spawn(send_events());
}

void AccountChannel::tell(const Effects& effects) {
    if (effects.changed.empty() && !effects.list_changed) return;
    for (auto [mailbox, modseq] : effects.changed) changed_[mailbox] = std::max(changed_[mailbox], modseq);
    list_changed_ |= effects.list_changed;
    events_.notify_all();
}

async::Task<void> AccountChannel::send_events() {
    while (!channel_.lost()) {
        while (changed_.empty() && !list_changed_) co_await events_.wait();
        if (std::exchange(list_changed_, false)) channel_.send(proto::MailboxListChanged{});
        for (auto [mailbox, modseq] : std::exchange(changed_, {}))
            channel_.send(proto::MailboxChanged{{mailbox}, modseq});
        try {
            co_await channel_.drain(async::in(kWaitForWorker));
        } catch (const async::DeadlinePassed&) {
            channel_.close("the worker does not read");
        }
    }
}

Result<proto::AccountIdentity> AccountChannel::on(proto::AskAccount) {
    return proto::AccountIdentity{account_.name()};
}

async::Task<Result<proto::MailboxList>> AccountChannel::on(proto::ListMailboxes) {
    return account_.run(Access::read, [](MailStore& store) { return store.list(); });
}

async::Task<Result<proto::CreatedMailboxes>> AccountChannel::on(proto::CreateMailbox message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.create(m.name, m.special_use); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::DeleteMailbox message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.remove(m.name); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::RenameMailbox message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.rename(m.from_name, m.to_name); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::Subscribe message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.subscribe(m.name, m.subscription); });
}

async::Task<Result<proto::QuotaUse>> AccountChannel::on(proto::GetQuota) {
    return account_.run(Access::read, [](MailStore& store) { return store.quota(); });
}

async::Task<Result<proto::MetadataEntries>> AccountChannel::on(proto::GetMetadata message) {
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.metadata(m.mailbox); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::SetMetadata message) {
    return account_.run(
        Access::write, [m = std::move(message)](MailStore& store) { return store.set_metadata(m.mailbox, m.entries); });
}

async::Task<Result<proto::Mailboxes>> AccountChannel::on(proto::GetMailboxes message) {
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.get(m.mailboxes); });
}

async::Task<Result<proto::MailboxColumns>> AccountChannel::on(proto::OpenMailbox message) {
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.open_mailbox(m); });
}

async::Task<Result<proto::MailboxChanges>> AccountChannel::on(proto::GetChanges message) {
    return account_.run(Access::read, [m = message](MailStore& store) { return store.changes(m.mailbox, m.since); });
}

async::Task<Result<proto::MessageInfos>> AccountChannel::on(proto::FetchInfos message) {
    return account_.run(Access::read,
                        [m = std::move(message)](MailStore& store) { return store.infos(m.mailbox, m.uids); });
}

async::Task<Result<proto::MessageFiles>> AccountChannel::on(proto::OpenMessages message) {
    engine_.counters.messages_opened += message.uids.size();
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.files(m); });
}

async::Task<Result<proto::TextFound>> AccountChannel::on(proto::FindText message) {
    engine_.counters.searches++;
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.find_text(m.keys); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::IndexWords message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.index_words(m.contents); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::DropIndex) {
    return account_.run(Access::write, [](MailStore& store) { return store.drop_index(); });
}

async::Task<Result<proto::FlagsStored>> AccountChannel::on(proto::StoreFlags message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.store_flags(m); });
}

async::Task<Result<proto::MessagesCopied>> AccountChannel::on(proto::CopyMessages message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.copy(m); });
}

async::Task<Result<proto::MessagesCopied>> AccountChannel::on(proto::MoveMessages message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.move(m); });
}

async::Task<Result<proto::MessagesExpunged>> AccountChannel::on(proto::Expunge message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.expunge(m); });
}

async::Task<Result<proto::MessagesAppended>> AccountChannel::on(proto::AppendMessages message) {
    std::vector<Source> sources;
    for (proto::AppendItem& item : message.items) {
        auto source = spools_.take(item.spool, std::move(item.content));
        if (!source) co_return std::unexpected(std::move(source.error()));
        sources.push_back(std::move(*source));
    }
    auto task = append(engine_, account_.shared_from_this(), std::move(sources), std::move(message));
    co_return co_await complete(engine_.deliveries, std::move(task));
}

async::Task<Result<proto::MessagesImported>> AccountChannel::on(proto::ImportMessages message) {
    std::vector<Source> sources;
    for (proto::ImportItem& item : message.items) {
        auto source = spools_.take(item.message.spool, std::move(item.message.content));
        if (!source) co_return std::unexpected(std::move(source.error()));
        sources.push_back(std::move(*source));
    }
    auto task = import(engine_, account_.shared_from_this(), std::move(sources), std::move(message));
    co_return co_await complete(engine_.deliveries, std::move(task));
}

}  // namespace mox::storaged
