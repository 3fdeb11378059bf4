#include "storaged/storage_channel.h"

#include "storaged/complete.h"
#include "storaged/delivery.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxSpools = 10000;

std::unexpected<Error> no_account() {
    return permanent(ErrorCode::not_found, "no such account");
}

}  // namespace

StorageChannel::StorageChannel(Server& server, ipc::Role peer)
    : server_(server), peer_(peer), spools_(server.engine(), kMaxSpools) {}

async::Task<Result<proto::DeliveryOutcomes>> StorageChannel::on(proto::Deliver message) {
    auto source = spools_.take(message.spool, std::move(message.content));
    if (!source) co_return std::unexpected(std::move(source.error()));
    auto task = deliver(server_.engine(), server_.accounts(), server_.queue(), std::move(*source), std::move(message));
    co_return co_await complete(server_.engine().deliveries, std::move(task));
}

async::Task<Result<proto::Enqueued>> StorageChannel::on(proto::Enqueue message) {
    auto source = spools_.take(message.spool, std::move(message.content));
    if (!source) co_return std::unexpected(std::move(source.error()));
    auto task = enqueue(server_.engine(), server_.queue(), std::move(*source), std::move(message));
    co_return co_await complete(server_.engine().deliveries, std::move(task));
}

async::Task<Result<proto::QueueEntries>> StorageChannel::on(proto::QueueDue message) {
    return server_.queue()->run<QueueStore>(Access::read,
                                            [m = std::move(message)](QueueStore& queue) { return queue.due(m); });
}

async::Task<Result<proto::NextAttempt>> StorageChannel::on(proto::QueueNext message) {
    return server_.queue()->run<QueueStore>(
        Access::read, [m = std::move(message)](QueueStore& queue) { return queue.next(m.except); });
}

async::Task<Result<proto::QueueEntries>> StorageChannel::on(proto::QueueScan message) {
    return server_.queue()->run<QueueStore>(Access::read,
                                            [m = message](QueueStore& queue) { return queue.scan(m.after, m.limit); });
}

async::Task<Result<proto::QueuedMessage>> StorageChannel::on(proto::QueueOpen message) {
    return server_.queue()->run<QueueStore>(Access::read,
                                            [m = message](QueueStore& queue) { return queue.open_entry(m.id); });
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::QueueUpdate message) {
    return server_.queue()->run<QueueStore>(Access::write,
                                            [m = std::move(message)](QueueStore& queue) { return queue.update(m); });
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::QueueRemove message) {
    return server_.queue()->run<QueueStore>(
        Access::write, [m = std::move(message)](QueueStore& queue) { return queue.remove(m.ids); });
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::QueueDeliverLocal message) {
    auto task = deliver_local(server_.engine(), server_.accounts(), server_.queue(), std::move(message));
    co_return co_await complete(server_.engine().deliveries, std::move(task));
}

async::Task<Result<proto::StoredCredentials>> StorageChannel::on(proto::GetCredentials message) {
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return no_account();
    co_return co_await account->run(Access::read, [](MailStore& store) { return store.credentials(); });
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::SetCredentials message) {
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return no_account();
    auto work = [credentials = std::move(message.credentials)](MailStore& store) {
        return store.set_credentials(credentials);
    };
    co_return co_await account->run(Access::write, std::move(work));
}

async::Task<Result<proto::OwnedClientKey>> StorageChannel::on(proto::FindClientKey message) {
    return server_.accounts().find_client_key(std::move(message.fingerprint));
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::AddClientKey message) {
    return server_.accounts().add_client_key(std::move(message));
}

async::Task<Result<proto::Done>> StorageChannel::on(proto::RemoveClientKey message) {
    return server_.accounts().remove_client_key(std::move(message.fingerprint));
}

async::Task<Result<proto::OwnedClientKeys>> StorageChannel::on(proto::ListClientKeys message) {
    return server_.accounts().list_client_keys(std::move(message.account));
}

async::Task<Result<proto::AccountChannel>> StorageChannel::on(proto::OpenAccount message) {
    return server_.accounts().open_channel(std::move(message.account), ipc::Role::imapd_worker);
}

}  // namespace mox::storaged
