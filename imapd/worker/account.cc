#include "imapd/worker/account.h"

#include "common/log/log.h"
#include "imapd/worker/learning.h"

namespace mox::imapd {
namespace {

constexpr std::chrono::seconds kIntroduction{10};

// Returns at the event, at the deadline, or so soon that a lost channel is seen.
async::Task<void> wait_a_moment(async::Notify& event, async::Deadline deadline) {
    constexpr std::chrono::milliseconds kSlice{200};
    try {
        co_await event.wait(std::min(deadline, async::in(kSlice)));
    } catch (const async::DeadlinePassed&) {
        // the caller looks at the clock
    }
}

}  // namespace

Account::Connection::Connection(Account& a, Fd socket)
    : account(a), channel(std::move(socket), {ipc::Role::storaged, "storaged"}) {
    channel.serve(proto::AccountEventMessages{}, *this);
    channel.start();
}

void Account::Connection::on(proto::AccountOpened message) {
    opened = std::move(message.account);
    arrived.notify_all();
}

void Account::Connection::on(proto::MailboxChanged message) {
    account.events_++;
    if (account.connection_.get() == this) account.notify(message.mailbox, message.highest_modseq, nullptr);
}

void Account::Connection::on(proto::MailboxListChanged) {
    account.events_++;
    account.known_.clear();
    if (account.connection_.get() != this) return;
    for (auto* observer : account.observers_) observer->mailbox_list_changed();
}

// It may come before the channel is the account's.
void Account::Connection::on(proto::LearningDue) {
    account.events_++;
    learning_due = true;
    if (account.connection_.get() == this) account.learn_if_due();
}

void Account::remember(const proto::MailboxList& list) {
    known_.clear();
    for (const auto& mailbox : list.mailboxes) known_.insert(mailbox.name);
}

Account::~Account() {
    scope_.cancel();
}

async::Task<Result<ipc::Done>> Account::admit(Fd channel) {
    auto connection = std::make_shared<Connection>(*this, std::move(channel));
    async::Deadline deadline = async::in(kIntroduction);
    while (connection->opened.empty()) {
        if (connection->channel.lost()) co_return temporary(ErrorCode::channel_lost, "the mail storage went away");
        if (async::Clock::now() >= deadline)
            co_return temporary(ErrorCode::timeout, "the mail storage does not answer");
        co_await wait_a_moment(connection->arrived, deadline);
    }
    co_return take(connection, connection->opened);
}

async::Task<Result<ipc::Done>> Account::resume(Fd channel) {
    auto connection = std::make_shared<Connection>(*this, std::move(channel));
    auto identity = co_await connection->channel.call(proto::AskAccount{}, async::in(kIntroduction));
    if (!identity) co_return std::unexpected(std::move(identity.error()));
    co_return take(connection, identity->account);
}

Result<ipc::Done> Account::take(std::shared_ptr<Connection> connection, const std::string& account) {
    if (account != name_) {
        // The capability and the worker do not belong together: someone on the way is not to be trusted.
        log::error("account channel is for another account", {{"account", name_}, {"channel", account}});
        connection->channel.close("wrong account");
        return permanent(ErrorCode::denied, "wrong account");
    }
    if (connected()) {
        connection->channel.close("one is enough");
    } else {
        connection_ = connection;
        scope_.spawn(watch(std::move(connection)));
        learn_if_due();
    }
    return ipc::Done{};
}

Fd Account::duplicate_channel() const {
    return connected() && connection_->channel.quiet() ? connection_->channel.duplicate() : Fd();
}

bool Account::connected() const {
    return connection_ != nullptr && !connection_->channel.lost();
}

async::Task<void> Account::watch(std::shared_ptr<Connection> connection) {
    while (!connection->channel.lost()) co_await connection->channel.on_lost().wait();
    log::warn("account channel lost", {{"account", name_}});
    auto observers = observers_;  // they leave while being told
    for (auto* observer : observers)
        if (observers_.contains(observer)) observer->account_lost();
}

void Account::learn_if_due() {
    if (connection_->learning_due && !learning_) scope_.spawn(learn());
}

// What is told while it learns may be about messages that it has been told there are none of.
async::Task<void> Account::learn() {
    learning_ = true;
    while (connection_ != nullptr && std::exchange(connection_->learning_due, false)) co_await learn_messages(*this);
    learning_ = false;
}

void Account::notify(proto::MailboxId mailbox, uint64_t highest_modseq, const AccountObserver* except) {
    for (auto* observer : observers_)
        if (observer != except) observer->mailbox_changed(mailbox, highest_modseq);
}

void Account::touch(proto::MailboxId mailbox, const AccountObserver* except) {
    notify(mailbox, UINT64_MAX, except);
}

void Account::touch_metadata(const std::string& mailbox, const std::vector<std::string>& names,
                             const AccountObserver* except) {
    for (auto* observer : observers_)
        if (observer != except) observer->metadata_changed(mailbox, names);
}

void Account::touch_url_keys(const std::string& mailbox, const AccountObserver* except) {
    for (auto* observer : observers_)
        if (observer != except) observer->url_keys_reset(mailbox);
}

void Account::touch_inbox_renamed(const std::string& to, const AccountObserver* except) {
    for (auto* observer : observers_)
        if (observer != except) observer->inbox_renamed(to);
}

void Account::close() {
    if (connection_ != nullptr) connection_->channel.close("worker ends");
}

}  // namespace mox::imapd
