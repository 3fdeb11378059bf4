#include "storaged/delivery.h"

#include <algorithm>

#include "common/log/log.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxTargets = 10000;
constexpr size_t kTargetsAtOnce = 64;  // databases that one delivery keeps open
constexpr size_t kMaxAppended = 10000;

std::optional<Error> check_facts(const std::string& info, const std::string& prefix) {
    if (info.size() > kMaxInfo) return Error{Persistence::permanent, ErrorCode::bad_request, "message info too large"};
    if (prefix.size() > kMaxPrefix)
        return Error{Persistence::permanent, ErrorCode::bad_request, "message prefix too large"};
    return std::nullopt;
}

using ContentResult = Result<std::shared_ptr<Content>>;

/// In a thread: reads what is small.
ContentResult content_of_file(const std::string& path, Fd file, uint64_t size) {
    try {
        return std::make_shared<Content>(path, std::move(file), size);
    } catch (const StoreFailure& failure) {
        log::error("cannot read a message file", {{"error", failure.what()}});
        return std::unexpected(failure.error());
    }
}

/// The content of a request, from its spool file or out of itself, checked.
async::Task<ContentResult> take_content(Engine& engine, const Source& source, uint64_t size) {
    if (!engine.reserve.has_space()) co_return temporary(ErrorCode::no_space, "no space left for mail");
    if (!source.spool) {
        if (source.bytes.size() > proto::kMaxInlineContent || source.bytes.size() != size)
            co_return permanent(ErrorCode::bad_request, "the content does not have the stated size");
        co_return std::make_shared<Content>(source.bytes);
    }
    std::string path = source.spool->path();
    auto file = co_await claim(engine, path, size);
    if (!file) co_return std::unexpected(std::move(file.error()));
    auto shared = std::make_shared<Fd>(std::move(*file));
    co_return co_await engine.pool.run(
        [path, shared, size] { return content_of_file(path, std::move(*shared), size); });
}

/// What is the same for all recipients.
struct Common {
    std::shared_ptr<Content> content;
    proto::MessageFacts facts;
    std::shared_ptr<const std::string> info;
};

NewMessage new_message(const Common& common, std::string prefix) {
    NewMessage message;
    message.content = common.content;
    message.prefix = std::move(prefix);
    message.info = common.info;
    message.mail_from = common.facts.mail_from;
    message.remote_address = common.facts.remote_address;
    message.ehlo = common.facts.ehlo;
    message.received = common.facts.received;
    return message;
}

/// Delivers to some of the targets, each in the strand of its account: all are on their way before the first is waited
/// for.
async::Task<void> deliver_some(Engine& engine, Accounts& accounts, const Common& common,
                               std::vector<proto::DeliveryTarget> targets, proto::DeliveryOutcomes& outcomes) {
    size_t first = outcomes.targets.size();
    outcomes.targets.resize(first + targets.size());
    std::vector<std::pair<size_t, async::Task<Result<bool>>>> commits;
    std::vector<Account::Use> uses;
    for (size_t i = 0; i < targets.size(); i++) {
        std::optional<Error>& error = outcomes.targets[first + i].error;
        error = check_facts(*common.info, targets[i].prefix);
        auto account = accounts.find(targets[i].account);
        if (!error && account == nullptr)
            error = Error{Persistence::permanent, ErrorCode::not_found, "no such account"};
        if (error) continue;
        uses.emplace_back(account);
        accounts.make_room();
        auto work = [message = new_message(common, std::move(targets[i].prefix)),
                     mailbox = std::move(targets[i].mailbox)](MailStore& store) {
            return store.deliver(mailbox, message, std::nullopt);
        };
        commits.emplace_back(first + i, account->run(Access::write, std::move(work)));
    }
    for (auto& [index, commit] : commits) {
        auto added = co_await commit;
        if (!added) outcomes.targets[index].error = std::move(added.error());
    }
    for (size_t i = first; i < outcomes.targets.size(); i++)
        (outcomes.targets[i].error ? engine.counters.delivery_failures : engine.counters.deliveries)++;
}

}  // namespace

async::Task<Result<proto::DeliveryOutcomes>> deliver(Engine& engine, Accounts& accounts, Source source,
                                                     proto::Deliver request) {
    if (request.targets.empty() || request.targets.size() > kMaxTargets)
        co_return permanent(ErrorCode::bad_request, "no target, or too many");
    auto content = co_await take_content(engine, source, request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    auto info = std::make_shared<const std::string>(std::move(request.facts.info));
    Common common{std::move(*content), std::move(request.facts), std::move(info)};
    proto::DeliveryOutcomes outcomes;
    auto& targets = request.targets;
    for (size_t i = 0; i < targets.size(); i += kTargetsAtOnce) {
        auto begin = targets.begin() + static_cast<ptrdiff_t>(i);
        auto end = targets.begin() + static_cast<ptrdiff_t>(std::min(i + kTargetsAtOnce, targets.size()));
        std::vector<proto::DeliveryTarget> some(std::make_move_iterator(begin), std::make_move_iterator(end));
        co_await deliver_some(engine, accounts, common, std::move(some), outcomes);
    }
    co_return outcomes;
}

namespace {

async::Task<Result<std::vector<NewMessage>>> prepare_append(Engine& engine, const std::vector<Source>& sources,
                                                            proto::AppendMessages& request) {
    std::vector<NewMessage> messages;
    for (size_t i = 0; i < request.items.size(); i++) {
        proto::AppendItem& item = request.items[i];
        if (auto error = check_facts(item.info, {})) co_return std::unexpected(std::move(*error));
        auto content = co_await take_content(engine, sources[i], item.size);
        if (!content) co_return std::unexpected(std::move(content.error()));
        NewMessage message;
        message.content = std::move(*content);
        message.info = std::make_shared<const std::string>(std::move(item.info));
        message.received = item.received;
        message.flags = item.flags;
        message.keywords = std::move(item.keywords);
        messages.push_back(std::move(message));
    }
    co_return messages;
}

}  // namespace

async::Task<Result<proto::MessagesAppended>> append(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<Source> sources, proto::AppendMessages request) {
    if (request.items.empty() || request.items.size() > kMaxAppended)
        co_return permanent(ErrorCode::bad_request, "no message, or too many");
    Account::Use use(account);
    auto messages = co_await prepare_append(engine, sources, request);
    if (!messages) co_return std::unexpected(std::move(messages.error()));
    size_t count = messages->size();
    auto work = [messages = std::move(*messages), mailbox = request.mailbox,
                 replaced = request.replaced](MailStore& store) { return store.append(mailbox, messages, replaced); };
    auto appended = co_await account->run(Access::write, std::move(work));
    if (appended) engine.counters.appended += count;
    co_return appended;
}

async::Task<Result<proto::Enqueued>> enqueue(Engine& engine, std::shared_ptr<Strand> queue, Source source,
                                             proto::Enqueue request) {
    if (request.recipients.empty() || request.recipients.size() > kMaxRecipients)
        co_return permanent(ErrorCode::bad_request, "no recipient, or too many");
    if (auto error = check_facts(request.facts.info, request.prefix)) co_return std::unexpected(std::move(*error));
    size_t longest = std::max({request.account.size(), request.facts.mail_from.size(), request.message_id.size()});
    for (const std::string& recipient : request.recipients) longest = std::max(longest, recipient.size());
    if (longest > kMaxAddress) co_return permanent(ErrorCode::bad_request, "an address or the Message-ID is too long");
    auto content = co_await take_content(engine, source, request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    NewQueued message;
    message.content = std::move(*content);
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
    if (enqueued) engine.counters.enqueued += enqueued->ids.size();
    co_return enqueued;
}

namespace {

async::Task<Result<proto::Done>> add_from_queue(Engine& engine, std::shared_ptr<Account> account, QueuedContent queued,
                                                proto::QueueDeliverLocal request) {
    // What is small enough for the journal may not be in its own place yet: it is read, and written down again.
    auto job = [file = queued.file, size = queued.file_size]() -> ContentResult {
        Fd fd = open_message(queue_tree(), file, size);
        if (!fd) return temporary(ErrorCode::io, "the message file is damaged");
        return content_of_file(queue_tree().path_of(file), std::move(fd), size);
    };
    auto content = co_await engine.pool.run(std::move(job));
    if (!content) co_return std::unexpected(std::move(content.error()));
    NewMessage message;
    message.content = std::move(*content);
    message.prefix = request.target.prefix + queued.prefix;
    message.info = std::make_shared<const std::string>(std::move(queued.info));
    message.mail_from = std::move(queued.mail_from);
    message.received = request.received;
    QueueMark mark{queued.queue, request.id};
    auto work = [message = std::move(message), mailbox = request.target.mailbox, mark](MailStore& store) {
        return store.deliver(mailbox, message, mark);
    };
    auto added = co_await account->run(Access::write, std::move(work));
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
