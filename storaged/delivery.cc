#include "storaged/delivery.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxTargets = 10000;
constexpr size_t kTargetsAtOnce = 64;  // databases that one delivery keeps open
constexpr size_t kMaxAppended = 10000;

/// Waits for the syncer from the loop.
async::Task<void> make_durable(Engine& engine, Unsynced unsynced) {
    struct Shared {
        bool finished = false;
        async::Notify done;
    };
    auto shared = std::make_shared<Shared>();
    Syncer::Request request;
    request.fds = std::move(unsynced.fds);
    request.everything = unsynced.everything;
    request.done = [shared, mailbox = &engine.mailbox] {
        mailbox->post([shared] {
            shared->finished = true;
            shared->done.notify_all();
        });
    };
    engine.syncer.submit(std::move(request));
    while (!shared->finished) co_await shared->done.wait();
}

void remove_later(Engine& engine, std::vector<LinkedFile> files) {
    if (!files.empty()) engine.pool.submit([files = std::move(files)] { remove_files(files); });
}

Result<Unsynced> link_all(Engine& engine, const std::vector<NewLink>& links) {
    if (!engine.reserve.has_space()) return temporary(ErrorCode::no_space, "no space left for mail");
    try {
        return make_links(links);
    } catch (const StoreFailure& failure) {
        log::error("cannot put a message in place", {{"error", failure.what()}});
        return std::unexpected(failure.error());
    }
}

std::optional<Error> check_facts(const std::string& info, const std::string& prefix) {
    if (info.size() > kMaxInfo) return Error{Persistence::permanent, ErrorCode::bad_request, "message info too large"};
    if (prefix.size() > kMaxPrefix)
        return Error{Persistence::permanent, ErrorCode::bad_request, "message prefix too large"};
    return std::nullopt;
}

/// A recipient on the way: where its file goes, until it has a row or an error.
struct Target {
    proto::DeliveryTarget to;
    std::optional<Account::Use> account;
    LinkedFile link;
    std::optional<Error> error;
};

/// What is the same for all recipients.
struct Common {
    std::string source;
    proto::MessageFacts facts;
    std::shared_ptr<const std::string> info;
};

NewMessage new_message(const Common& common, Target& target) {
    NewMessage message;
    message.file = target.link.file;
    message.file_size = common.facts.size;
    message.prefix = std::move(target.to.prefix);
    message.info = common.info;
    message.mail_from = common.facts.mail_from;
    message.remote_address = common.facts.remote_address;
    message.ehlo = common.facts.ehlo;
    message.received = common.facts.received;
    return message;
}

async::Task<void> reserve(Accounts& accounts, const Common& common, std::vector<Target>& targets) {
    for (Target& target : targets) {
        target.error = check_facts(*common.info, target.to.prefix);
        if (target.error) continue;
        auto account = accounts.find(target.to.account);
        if (account == nullptr) {
            target.error = Error{Persistence::permanent, ErrorCode::not_found, "no such account"};
            continue;
        }
        target.account.emplace(account);
        accounts.make_room();
        auto file = co_await account->reserve_file();
        if (file)
            target.link = {account->tree(), *file};
        else
            target.error = std::move(file.error());
    }
}

/// The rows, each in the strand of its account: all are on their way before the first is waited for.
async::Task<void> commit_rows(const Common& common, std::vector<Target>& targets) {
    std::vector<std::pair<Target*, async::Task<Result<bool>>>> commits;
    for (Target& target : targets) {
        if (target.error) continue;
        auto work = [message = new_message(common, target), mailbox = target.to.mailbox](MailStore& store) {
            return store.deliver(mailbox, message, std::nullopt);
        };
        commits.emplace_back(&target, (*target.account)->run(Access::write, std::move(work)));
    }
    for (auto& [target, commit] : commits) {
        auto added = co_await commit;
        if (!added) target->error = std::move(added.error());
    }
}

/// Delivers to some of the targets; their errors say how it went.
async::Task<void> deliver_some(Engine& engine, Accounts& accounts, const Common& common, Fd content,
                               std::vector<Target>& targets) {
    co_await reserve(accounts, common, targets);
    std::vector<NewLink> links;
    for (const Target& target : targets)
        if (!target.error) links.push_back({common.source, target.link});
    if (links.empty()) co_return;
    std::vector<Fd> contents;
    if (content) contents.push_back(std::move(content));
    auto placed = co_await place_files(engine, std::move(links), std::move(contents));
    if (!placed) {
        for (Target& target : targets)
            if (!target.error) target.error = placed.error();
        co_return;
    }
    co_await commit_rows(common, targets);
    std::vector<LinkedFile> unused;
    for (const Target& target : targets)
        if (target.error && target.link.file != 0) unused.push_back(target.link);
    remove_later(engine, std::move(unused));
}

}  // namespace

async::Task<Result<proto::Done>> place_files(Engine& engine, std::vector<NewLink> links, std::vector<Fd> contents) {
    auto job = [&engine, links = std::move(links)] { return link_all(engine, links); };
    auto unsynced = co_await engine.pool.run(std::move(job));
    if (!unsynced) co_return std::unexpected(std::move(unsynced.error()));
    std::ranges::move(contents, std::back_inserter(unsynced->fds));
    co_await make_durable(engine, std::move(*unsynced));
    co_return proto::Done{};
}

async::Task<Result<proto::DeliveryOutcomes>> deliver(Engine& engine, Accounts& accounts, TakenSpool spool,
                                                     proto::Deliver request) {
    if (request.targets.empty() || request.targets.size() > kMaxTargets)
        co_return permanent(ErrorCode::bad_request, "no target, or too many");
    auto content = co_await claim(engine, spool.path(), request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    auto info = std::make_shared<const std::string>(std::move(request.facts.info));
    Common common{spool.path(), std::move(request.facts), std::move(info)};
    proto::DeliveryOutcomes outcomes;
    for (size_t i = 0; i < request.targets.size(); i += kTargetsAtOnce) {
        std::vector<Target> targets;
        for (size_t k = i; k < std::min(i + kTargetsAtOnce, request.targets.size()); k++)
            targets.push_back({std::move(request.targets[k]), {}, {}, {}});
        // Every round syncs the content: the first may have had no target that was in order.
        Fd again(fcntl(content->get(), F_DUPFD_CLOEXEC, 0));
        if (again)
            co_await deliver_some(engine, accounts, common, std::move(again), targets);
        else
            for (Target& target : targets) target.error = error_of_errno(EMFILE);
        for (Target& target : targets) {
            (target.error ? engine.counters.delivery_failures : engine.counters.deliveries)++;
            outcomes.targets.push_back({std::move(target.error)});
        }
    }
    co_return outcomes;
}

namespace {

/// The messages of an append with their links, once their spool files have been claimed.
struct Appending {
    std::vector<NewMessage> messages;
    std::vector<NewLink> links;
    std::vector<Fd> contents;
};

async::Task<Result<Appending>> prepare_append(Engine& engine, Account& account, const std::vector<TakenSpool>& spools,
                                              proto::AppendMessages& request) {
    Appending appending;
    for (size_t i = 0; i < request.items.size(); i++) {
        proto::AppendItem& item = request.items[i];
        if (auto error = check_facts(item.info, {})) co_return std::unexpected(std::move(*error));
        auto content = co_await claim(engine, spools[i].path(), item.size);
        if (!content) co_return std::unexpected(std::move(content.error()));
        auto file = co_await account.reserve_file();
        if (!file) co_return std::unexpected(std::move(file.error()));
        NewMessage message;
        message.file = *file;
        message.file_size = item.size;
        message.info = std::make_shared<const std::string>(std::move(item.info));
        message.received = item.received;
        message.flags = item.flags;
        message.keywords = std::move(item.keywords);
        appending.messages.push_back(std::move(message));
        appending.links.push_back({spools[i].path(), {account.tree(), *file}});
        appending.contents.push_back(std::move(*content));
    }
    co_return appending;
}

}  // namespace

async::Task<Result<proto::MessagesAppended>> append(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<TakenSpool> spools, proto::AppendMessages request) {
    if (request.items.empty() || request.items.size() > kMaxAppended)
        co_return permanent(ErrorCode::bad_request, "no message, or too many");
    Account::Use use(account);
    auto prepared = co_await prepare_append(engine, *account, spools, request);
    if (!prepared) co_return std::unexpected(std::move(prepared.error()));
    std::vector<LinkedFile> placed_files;
    for (const NewLink& link : prepared->links) placed_files.push_back(link.target);
    auto placed = co_await place_files(engine, std::move(prepared->links), std::move(prepared->contents));
    if (!placed) co_return std::unexpected(std::move(placed.error()));
    size_t count = prepared->messages.size();
    auto work = [messages = std::move(prepared->messages), mailbox = request.mailbox](MailStore& store) {
        return store.append(mailbox, messages);
    };
    auto appended = co_await account->run(Access::write, std::move(work));
    if (appended)
        engine.counters.appended += count;
    else
        remove_later(engine, std::move(placed_files));
    co_return appended;
}

async::Task<Result<proto::Enqueued>> enqueue(Engine& engine, std::shared_ptr<Strand> queue, uint64_t file,
                                             TakenSpool spool, proto::Enqueue request) {
    if (request.recipients.empty() || request.recipients.size() > kMaxRecipients)
        co_return permanent(ErrorCode::bad_request, "no recipient, or too many");
    if (auto error = check_facts(request.facts.info, request.prefix)) co_return std::unexpected(std::move(*error));
    size_t longest = std::max({request.account.size(), request.facts.mail_from.size(), request.message_id.size()});
    for (const std::string& recipient : request.recipients) longest = std::max(longest, recipient.size());
    if (longest > kMaxAddress) co_return permanent(ErrorCode::bad_request, "an address or the Message-ID is too long");
    auto content = co_await claim(engine, spool.path(), request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    LinkedFile target{queue_tree(), file};
    std::vector<NewLink> links;
    links.push_back({spool.path(), target});
    std::vector<Fd> contents;
    contents.push_back(std::move(*content));
    auto placed = co_await place_files(engine, std::move(links), std::move(contents));
    if (!placed) co_return std::unexpected(std::move(placed.error()));
    NewQueued message;
    message.file = file;
    message.file_size = request.facts.size;
    message.prefix = std::move(request.prefix);
    message.info = std::move(request.facts.info);
    message.account = std::move(request.account);
    message.mail_from = std::move(request.facts.mail_from);
    message.message_id = std::move(request.message_id);
    message.smtputf8 = request.smtputf8;
    message.has_8bit = request.has_8bit;
    message.recipients = std::move(request.recipients);
    auto work = [message = std::move(message)](QueueStore& store) { return store.enqueue(message); };
    auto enqueued = co_await queue->run<QueueStore>(Access::write, std::move(work));
    if (enqueued)
        engine.counters.enqueued += enqueued->ids.size();
    else
        remove_later(engine, {target});
    co_return enqueued;
}

namespace {

async::Task<Result<proto::Done>> add_from_queue(Engine& engine, std::shared_ptr<Account> account, QueuedContent content,
                                                proto::QueueDeliverLocal request) {
    auto file = co_await account->reserve_file();
    if (!file) co_return std::unexpected(std::move(file.error()));
    LinkedFile target{account->tree(), *file};
    std::vector<NewLink> links;
    links.push_back({queue_tree().path_of(content.file), target});
    // The content was made durable when it was queued; only its new name is to be.
    auto placed = co_await place_files(engine, std::move(links), {});
    if (!placed) co_return placed;
    NewMessage message;
    message.file = *file;
    message.file_size = content.file_size;
    message.prefix = request.target.prefix + content.prefix;
    message.info = std::make_shared<const std::string>(std::move(content.info));
    message.mail_from = std::move(content.mail_from);
    message.received = request.received;
    QueueMark mark{content.queue, request.id};
    auto work = [message = std::move(message), mailbox = request.target.mailbox, mark](MailStore& store) {
        return store.deliver(mailbox, message, mark);
    };
    auto added = co_await account->run(Access::write, std::move(work));
    if (!added || !*added) remove_later(engine, {target});
    if (!added) co_return std::unexpected(std::move(added.error()));
    engine.counters.deliveries++;
    co_return proto::Done{};
}

}  // namespace

// A crash between the two commits leaves the entry in the queue; the mark in the account's database then keeps it from
// being delivered a second time.
async::Task<Result<proto::Done>> deliver_local(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> queue,
                                               proto::QueueDeliverLocal request) {
    auto account = accounts.find(request.target.account);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    Account::Use use(account);
    auto find = [id = request.id](QueueStore& store) { return store.content(id); };
    auto content = co_await queue->run<QueueStore>(Access::read, std::move(find));
    if (!content) co_return std::unexpected(std::move(content.error()));
    if (auto error = check_facts(content->info, request.target.prefix + content->prefix))
        co_return std::unexpected(std::move(*error));
    uint64_t id = request.id;
    auto added = co_await add_from_queue(engine, account, std::move(*content), std::move(request));
    if (!added) co_return added;
    auto remove = [id](QueueStore& store) { return store.remove({id}); };
    co_return co_await queue->run<QueueStore>(Access::write, std::move(remove));
}

}  // namespace mox::storaged
