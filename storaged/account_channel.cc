#include "storaged/account_channel.h"

#include <algorithm>
#include <ctime>
#include <sys/stat.h>

#include "common/log/log.h"
#include "storaged/complete.h"
#include "storaged/delivery.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxSpools = 100;
constexpr auto kWaitForWorker = std::chrono::seconds(60);

// How much of what others share is listed: with all of its own, it fits into one answer.
constexpr size_t kMaxOthersBytes = 1u << 20;
constexpr size_t kBytesBesideName = 100;

proto::MailboxId local_id(proto::MailboxId id) {
    return {id.value & ((uint64_t{1} << proto::kOwnerShift) - 1)};
}

// ---- what a guest is told, as it names things; there is one for each kind of answer, else it does not compile

void for_guests(const Account& owner, proto::Mailbox& mailbox) {
    mailbox.id.value = owner.id_for_guests(mailbox.id.value);
    mailbox.name = std::string(proto::kOthers) + owner.name() + '/' + mailbox.name;
    mailbox.special_use = 0;  // the owner's use of it
    if (mailbox.rights & proto::kReadRight) return;
    mailbox = {mailbox.id, std::move(mailbox.name), 0, 0, 0, 0, 0, 0, 0, 0, mailbox.rights};
}
void for_guests(const Account& owner, proto::Mailboxes& reply) {
    for (auto& mailbox : reply.mailboxes) for_guests(owner, mailbox);
}
void for_guests(const Account& owner, proto::CreatedMailboxes& reply) {
    for (auto& mailbox : reply.created) for_guests(owner, mailbox);
}
void for_guests(const Account& owner, proto::MailboxColumns& reply) {
    for_guests(owner, reply.mailbox);
}
void for_guests(const Account& owner, proto::MailboxChanges& reply) {
    for_guests(owner, reply.mailbox);
}
void for_guests(const Account& owner, proto::MessagesAppended& reply) {
    reply.mailbox.value = owner.id_for_guests(reply.mailbox.value);
}
void for_guests(const Account& owner, proto::MessagesCopied& reply) {
    reply.mailbox.value = owner.id_for_guests(reply.mailbox.value);
}
// RFC 5464 4.3 NOPRIVATE: what is private is the owner's
void for_guests(const Account&, proto::MetadataEntries& reply) {
    std::erase_if(reply.entries, [](const auto& entry) { return !entry.name.starts_with("/shared/"); });
}
void for_guests(const Account&, proto::MessageInfos&) {}
void for_guests(const Account&, proto::FlagsStored&) {}
void for_guests(const Account&, proto::MessagesExpunged&) {}
void for_guests(const Account&, proto::QuotaUse&) {}
void for_guests(const Account&, proto::AclEntries&) {}
void for_guests(const Account&, proto::Rights&) {}
void for_guests(const Account&, proto::Done&) {}

}  // namespace

// A descriptor gives all that is in its file: one that holds more than the message is not handed out.
void for_guests(const Account&, proto::MessageFiles& reply) {
    std::erase_if(reply.messages, [&](const proto::MessageFile& message) {
        struct stat status{};
        uint64_t size = message.stored != 0 ? message.stored : message.size;
        bool whole =
            !message.file || (fstat(message.file.get(), &status) == 0 && static_cast<uint64_t>(status.st_size) == size);
        if (!whole) log::error("the file of a message is not its own: not for guests", {{"uid", message.uid.value}});
        if (!whole)
            reply.damaged.insert(std::ranges::lower_bound(reply.damaged, message.uid.value, {}, &proto::Uid::value),
                                 message.uid);
        return !whole;
    });
}

AccountChannel::AccountChannel(Engine& engine, Accounts& accounts, Account& account, Fd socket, ipc::Role peer)
    : engine_(engine),
      accounts_(accounts),
      account_(account),
      peer_(peer),
      spools_(engine, kMaxSpools),
      channel_(std::move(socket), {peer, std::string(ipc::to_string(peer)) + " " + account.name()}) {
    if (peer == ipc::Role::moxctl)
        channel_.serve(proto::AdminAccountMessages{}, *this);
    else
        channel_.serve(proto::AccountMessages{}, *this);
    scope_.spawn(send_events());
}

AccountChannel::~AccountChannel() {
    for (auto& [number, account] : visited_)
        if (auto owner = account.lock()) owner->remove_visitor(*this);
}

void AccountChannel::tell(const Effects& effects) {
    if (effects.changed.empty() && !effects.list_changed && !effects.learning_due) return;
    for (auto [mailbox, modseq] : effects.changed) changed_[mailbox] = std::max(changed_[mailbox], modseq);
    list_changed_ |= effects.list_changed;
    learning_due_ |= effects.learning_due && peer_ == ipc::Role::imapd_worker;
    events_.notify_all();
}

async::Task<void> AccountChannel::send_events() {
    while (!channel_.lost()) {
        while (changed_.empty() && !list_changed_ && !learning_due_) co_await events_.wait();
        if (std::exchange(list_changed_, false)) channel_.send(proto::MailboxListChanged{});
        for (auto [mailbox, modseq] : std::exchange(changed_, {}))
            channel_.send(proto::MailboxChanged{{mailbox}, modseq});
        if (std::exchange(learning_due_, false)) channel_.send(proto::LearningDue{});
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

// ---- the mailboxes of others

void AccountChannel::visit(Account& owner) {
    auto [visited, is_new] = visited_.try_emplace(owner.number());
    if (!is_new && !visited->second.expired()) return;
    visited->second = owner.weak_from_this();
    owner.add_visitor(*this);
}

// A neighbour that does not exist and one that shares nothing are told apart by nobody.
Result<AccountChannel::Place> AccountChannel::find_place(NamedMailbox mailbox) {
    uint64_t number = mailbox.id.value >> proto::kOwnerShift;
    bool own = number == 0 && !mailbox.name.starts_with(proto::kOthers);
    if (own || peer_ == ipc::Role::moxctl) return Place{account_.shared_from_this(), {}, std::move(mailbox)};
    std::string owner(proto::owner_of(mailbox.name));
    auto account = number != 0 ? accounts_.find_neighbour(account_, number) : accounts_.find_neighbour(account_, owner);
    size_t skip = proto::kOthers.size() + owner.size() + 1;
    if (account == nullptr || (number == 0 && mailbox.name.size() <= skip))
        return permanent(ErrorCode::not_found, "no such mailbox");
    visit(*account);
    accounts_.make_room();
    if (number == 0) mailbox.name.erase(0, skip);
    mailbox.id = local_id(mailbox.id);
    return Place{std::move(account), account_.name(), std::move(mailbox)};
}

Result<void> AccountChannel::localize(const Place& place, std::string& name) {
    auto other = find_place({name, {}});
    if (!other) return std::unexpected(std::move(other.error()));
    if (other->account != place.account)
        return permanent(ErrorCode::bad_request, "not within the mailboxes of one account");
    name = std::move(other->mailbox.name);
    return {};
}

// What a request names besides its first mailbox.
Result<void> AccountChannel::localize_further(const Place& place, auto& message) {
    if constexpr (requires { message.destination; }) return localize(place, message.destination);
    if constexpr (requires { message.to_name; }) return localize(place, message.to_name);
    if constexpr (requires { message.replaced; }) {
        if (!message.replaced) return {};
        auto other = find_place({{}, message.replaced->mailbox});
        if (!other) return std::unexpected(std::move(other.error()));
        if (other->account != place.account)
            return permanent(ErrorCode::bad_request, "not within the mailboxes of one account");
        message.replaced->mailbox = other->mailbox.id;
    }
    return {};
}

template <class M, class F>
async::Task<Result<typename M::Reply>> AccountChannel::carry_out(Access access, M message, F work) {
    static_assert(guest_rule<M>().reach == Reach::mailbox || guest_rule<M>().reach == Reach::parent);
    auto place = find_place(named_mailbox(message));
    if (!place) co_return std::unexpected(std::move(place.error()));
    if (auto further = localize_further(*place, message); !further) co_return std::unexpected(further.error());
    set_named_mailbox(message, place->mailbox);
    auto shared = std::make_shared<M>(std::move(message));
    auto operation = [shared, work = std::move(work)](MailStore& store) { return work(store, *shared); };
    auto reply = co_await place->account->run_for(place->guest, access, *shared, std::move(operation));
    if (reply && !place->guest.empty()) for_guests(*place->account, *reply);
    co_return reply;
}

// What cannot be asked at the moment is left out: an account's own mailboxes do not depend on others'.
async::Task<void> AccountChannel::add_others(proto::MailboxList& list) {
    size_t bytes = 0;
    for (const auto& owner : co_await accounts_.sharing_with(account_.shared_from_this())) {
        visit(*owner);
        accounts_.make_room();
        auto theirs = co_await owner->run(Access::read, [guest = account_.name()](MailStore& store) {
            MailStore::Asker asker(store, guest);
            return store.list();
        });
        if (!theirs) continue;
        for (auto& mailbox : theirs->mailboxes) {
            for_guests(*owner, mailbox);
            bytes += mailbox.name.size() + kBytesBesideName;
            if (bytes > kMaxOthersBytes) co_return;
            list.mailboxes.push_back(std::move(mailbox));
        }
    }
}

// Of the account whose mailbox it is.
Result<std::string> AccountChannel::canonical_identifier(const std::string& mailbox, std::string_view identifier) {
    auto place = find_place({mailbox, {}});
    if (!place) return std::unexpected(std::move(place.error()));
    return accounts_.canonical_identifier(*place->account, identifier);
}

async::Task<Result<proto::MailboxList>> AccountChannel::on(proto::ListMailboxes) {
    auto list = co_await account_.run(Access::read, [](MailStore& store) { return store.list(); });
    if (list && peer_ != ipc::Role::moxctl) co_await add_others(*list);
    co_return list;
}

async::Task<Result<proto::CreatedMailboxes>> AccountChannel::on(proto::CreateMailbox message) {
    return carry_out(Access::write, std::move(message),
                     [](MailStore& store, auto& m) { return store.create(m.name, m.special_use); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::DeleteMailbox message) {
    return carry_out(Access::write, std::move(message), [](MailStore& store, auto& m) { return store.remove(m.name); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::RenameMailbox message) {
    return carry_out(Access::write, std::move(message),
                     [](MailStore& store, auto& m) { return store.rename(m.from_name, m.to_name); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::Subscribe message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.subscribe(m.name, m.subscription); });
}

async::Task<Result<proto::QuotaUse>> AccountChannel::on(proto::GetQuota message) {
    return carry_out(Access::read, std::move(message), [](MailStore& store, auto&) { return store.quota(); });
}

async::Task<Result<proto::MetadataEntries>> AccountChannel::on(proto::GetMetadata message) {
    return carry_out(Access::read, std::move(message),
                     [](MailStore& store, auto& m) { return store.metadata(m.mailbox); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::SetMetadata message) {
    return carry_out(Access::write, std::move(message),
                     [](MailStore& store, auto& m) { return store.set_metadata(m.mailbox, m.entries); });
}

async::Task<Result<proto::AclEntries>> AccountChannel::on(proto::GetAcl message) {
    return carry_out(Access::read, std::move(message), [](MailStore& store, auto& m) { return store.acl(m.mailbox); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::SetAcl message) {
    // What is wrong with it is told to who may change rights, like which accounts there are.
    auto identifier = canonical_identifier(message.mailbox, message.identifier);
    // To take away is possible also from who is gone, or has left the domain: by the name as it was given.
    bool lessens = message.change == proto::AclChange::remove ||
                   (message.change == proto::AclChange::replace && message.rights == 0);
    if (!identifier && identifier.error().code == ErrorCode::bad_request && lessens) identifier = message.identifier;
    if (identifier) message.identifier = *identifier;
    return carry_out(Access::write, std::move(message),
                     [identifier = std::move(identifier)](MailStore& store, auto& m) -> Result<proto::Done> {
                         if (!identifier) return std::unexpected(identifier.error());
                         return store.set_acl(m);
                     });
}

async::Task<Result<proto::Rights>> AccountChannel::on(proto::GetFixedRights message) {
    auto identifier = canonical_identifier(message.mailbox, message.identifier);
    return carry_out(Access::read, std::move(message),
                     [identifier = std::move(identifier)](MailStore& store, auto& m) -> Result<proto::Rights> {
                         auto mailbox = store.my_rights(m.mailbox);
                         if (!mailbox) return mailbox;
                         if (!identifier && identifier.error().code == ErrorCode::exists)
                             return proto::Rights{proto::kAllRights};  // the owner's
                         if (!identifier) return std::unexpected(identifier.error());
                         return proto::Rights{0};
                     });
}

async::Task<Result<proto::Rights>> AccountChannel::on(proto::GetMyRights message) {
    return carry_out(Access::read, std::move(message),
                     [](MailStore& store, auto& m) { return store.my_rights(m.mailbox); });
}

// Each place is asked for its own.
async::Task<Result<proto::Mailboxes>> AccountChannel::on(proto::GetMailboxes message) {
    if (message.mailboxes.size() > proto::kMaxMailboxesPerGet)
        co_return permanent(ErrorCode::bad_request, "too many mailboxes at once");
    std::map<uint64_t, std::vector<proto::MailboxId>> by_owner;
    for (auto id : message.mailboxes) by_owner[id.value >> proto::kOwnerShift].push_back(id);
    proto::Mailboxes out;
    for (auto& [owner, ids] : by_owner) {
        auto place = find_place({{}, ids.front()});
        if (!place) continue;
        for (auto& id : ids) id = local_id(id);
        auto some = co_await place->account->run(Access::read, [ids, guest = place->guest](MailStore& store) {
            std::optional<MailStore::Asker> asker;
            if (!guest.empty()) asker.emplace(store, guest);
            return store.get(ids);
        });
        if (!some) co_return some;
        if (!place->guest.empty()) for_guests(*place->account, *some);
        std::ranges::move(some->mailboxes, std::back_inserter(out.mailboxes));
    }
    co_return out;
}

async::Task<Result<proto::MailboxColumns>> AccountChannel::on(proto::OpenMailbox message) {
    return carry_out(Access::read, std::move(message), [](MailStore& store, auto& m) { return store.open_mailbox(m); });
}

async::Task<Result<proto::MailboxChanges>> AccountChannel::on(proto::GetChanges message) {
    return carry_out(Access::read, message,
                     [](MailStore& store, auto& m) { return store.changes(m.mailbox, m.since); });
}

async::Task<Result<proto::MessageInfos>> AccountChannel::on(proto::FetchInfos message) {
    return carry_out(Access::read, std::move(message), [](MailStore& store, auto& m) { return store.infos(m); });
}

async::Task<Result<proto::MessageFiles>> AccountChannel::on(proto::OpenMessages message) {
    engine_.counters.messages_opened += message.uids.size();
    return carry_out(Access::read, std::move(message), [](MailStore& store, auto& m) { return store.files(m); });
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

async::Task<Result<proto::UnthreadedMessages>> AccountChannel::on(proto::GetUnthreaded) {
    return account_.run(Access::read, [](MailStore& store) { return store.unthreaded(); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::AssignThreads message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.assign_threads(m.messages); });
}

async::Task<Result<proto::Threads>> AccountChannel::on(proto::GetThreads message) {
    return account_.run(Access::read,
                        [m = std::move(message)](MailStore& store) { return store.threads_of(m.contents); });
}

async::Task<Result<proto::ThreadContents>> AccountChannel::on(proto::FindThread message) {
    return account_.run(Access::read, [m = message](MailStore& store) { return store.find_thread(m.thread); });
}

async::Task<Result<proto::KnownRecipients>> AccountChannel::on(proto::ListRecipients message) {
    return account_.run(Access::read, [m = std::move(message)](MailStore& store) { return store.recipients(m.after); });
}

async::Task<Result<proto::UnlearnedMessages>> AccountChannel::on(proto::GetUnlearned) {
    return account_.run(Access::read, [](MailStore& store) { return store.unlearned(); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::LearnMessages message) {
    return account_.run(Access::write, [m = std::move(message)](MailStore& store) { return store.learn(m.messages); });
}

// Those that wait are indexed first, so it writes.
async::Task<Result<proto::KnownSenders>> AccountChannel::on(proto::ListSenders message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.known_senders(m.after); });
}

async::Task<Result<proto::SenderHistories>> AccountChannel::on(proto::FindSender message) {
    return account_.run(Access::read,
                        [m = std::move(message)](MailStore& store) { return store.senders_named(m.who); });
}

async::Task<Result<proto::SendersForgotten>> AccountChannel::on(proto::ForgetSenders message) {
    return account_.run(Access::write,
                        [m = std::move(message)](MailStore& store) { return store.forget_senders(m.who); });
}

async::Task<Result<proto::JunkStatus>> AccountChannel::on(proto::GetJunkStatus) {
    return account_.run(Access::read, [](MailStore& store) { return store.junk_status(); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::ResetJunkWords message) {
    return account_.run(Access::write, [m = message](MailStore& store) { return store.reset_junk_words(m.reset); });
}

async::Task<Result<proto::WebSessions>> AccountChannel::on(proto::ListWebSessions) {
    return account_.run(Access::read, [](MailStore& store) { return store.web_sessions(std::time(nullptr)); });
}

async::Task<Result<proto::Done>> AccountChannel::on(proto::RemoveWebSessions message) {
    return account_.run(Access::write, [m = message](MailStore& store) { return store.end_web_sessions(m.id); });
}

async::Task<Result<proto::FlagsStored>> AccountChannel::on(proto::StoreFlags message) {
    return carry_out(Access::write, std::move(message), [](MailStore& store, auto& m) { return store.store_flags(m); });
}

async::Task<Result<proto::MessagesCopied>> AccountChannel::on(proto::CopyMessages message) {
    return carry_out(Access::write, std::move(message), [](MailStore& store, auto& m) { return store.copy(m); });
}

async::Task<Result<proto::MessagesCopied>> AccountChannel::on(proto::MoveMessages message) {
    return carry_out(Access::write, std::move(message), [](MailStore& store, auto& m) { return store.move(m); });
}

async::Task<Result<proto::MessagesExpunged>> AccountChannel::on(proto::Expunge message) {
    return carry_out(Access::write, std::move(message), [](MailStore& store, auto& m) { return store.expunge(m); });
}

async::Task<Result<proto::MessagesAppended>> AccountChannel::on(proto::AppendMessages message) {
    std::vector<Source> sources;
    for (proto::AppendItem& item : message.items) {
        auto source = spools_.take(item.spool, std::move(item.content));
        if (!source) co_return std::unexpected(std::move(source.error()));
        sources.push_back(std::move(*source));
    }
    auto place = find_place(named_mailbox(message));
    if (!place) co_return std::unexpected(std::move(place.error()));
    if (auto further = localize_further(*place, message); !further) co_return std::unexpected(further.error());
    set_named_mailbox(message, place->mailbox);
    auto task = append(engine_, place->account, std::move(sources), std::move(message), place->guest);
    auto appended = co_await complete(engine_.deliveries, std::move(task));
    if (appended && !place->guest.empty()) for_guests(*place->account, *appended);
    co_return appended;
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
