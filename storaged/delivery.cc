#include "storaged/delivery.h"

#include <algorithm>
#include <span>

#include "common/log/log.h"
#include "common/mail/words.h"

namespace mox::storaged {
namespace {

constexpr size_t kMaxTargets = 10000;
constexpr size_t kTargetsAtOnce = 64;  // databases that one delivery keeps open
constexpr size_t kMaxAppended = 10000;

std::optional<Error> check_facts(const std::string& info, const std::string& prefix, const std::string& words) {
    if (info.size() > kMaxInfo) return Error{Persistence::permanent, ErrorCode::bad_request, "message info too large"};
    if (prefix.size() > kMaxPrefix)
        return Error{Persistence::permanent, ErrorCode::bad_request, "message prefix too large"};
    if (!words.empty() && !mail::is_word_list(words))
        return Error{Persistence::permanent, ErrorCode::bad_request, "not a list of words"};
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

/// The words of prefix and content: none when those of one of them are not known.
std::string words_of(const std::string& content, const proto::DeliveryTarget& target) {
    bool alone = target.prefix.empty() && target.trace.empty();
    return alone ? content : mail::join_word_lists(content, target.words);
}

NewMessage new_message(const Common& common, const proto::DeliveryTarget& target) {
    NewMessage message;
    message.content = common.content;
    message.prefix = target.prefix + target.trace;
    message.info = common.info;
    message.mail_from = common.facts.mail_from;
    message.remote_address = common.facts.remote_address;
    message.ehlo = common.facts.ehlo;
    message.received = common.facts.received;
    message.words = words_of(common.facts.words, target);
    // What comes from nowhere is a notice of our own.
    if (!message.remote_address.empty()) message.sender = encode_facts(common.facts.sender);
    return message;
}

/// Delivers to some of the targets, each in the strand of its account: all are on their way before the first is waited
/// for.
async::Task<void> deliver_some(Accounts& accounts, const Common& common, std::span<const proto::DeliveryTarget> targets,
                               std::span<proto::DeliveryOutcome> outcomes) {
    std::vector<std::pair<size_t, async::Task<Result<bool>>>> commits;
    std::vector<Account::Use> uses;
    for (size_t i = 0; i < targets.size(); i++) {
        std::optional<Error>& error = outcomes[i].error;
        error = check_facts(*common.info, targets[i].prefix + targets[i].trace, targets[i].words);
        auto account = accounts.find(targets[i].account);
        if (!error && account == nullptr)
            error = Error{Persistence::permanent, ErrorCode::not_found, "no such account"};
        if (error) continue;
        uses.emplace_back(account);
        accounts.make_room();
        auto work = [message = new_message(common, targets[i]), mailbox = targets[i].mailbox](MailStore& store) {
            return store.deliver(mailbox, message, std::nullopt);
        };
        commits.emplace_back(i, account->run(Access::write, std::move(work)));
    }
    for (auto& [index, commit] : commits) {
        auto added = co_await commit;
        if (!added) outcomes[index].error = std::move(added.error());
    }
}

NewQueued new_queued(const std::shared_ptr<Content>& content, const proto::MessageFacts& facts, std::string info) {
    NewQueued message;
    message.content = content;
    message.info = std::move(info);
    message.mail_from = facts.mail_from;
    message.message_id = facts.message_id;
    message.smtputf8 = facts.smtputf8;
    message.has_8bit = facts.has_8bit;
    return message;
}

async::Task<Result<proto::Enqueued>> put_into_queue(Engine& engine, std::shared_ptr<Strand> queue, NewQueued message) {
    auto work = [message = std::move(message)](QueueStore& store) { return store.enqueue(message); };
    auto enqueued = co_await queue->run<QueueStore>(Access::write, std::move(work));
    if (enqueued) engine.counters.enqueued += enqueued->ids.size();
    co_return enqueued;
}

/// What failed while the rest did not is kept in the queue: with one answer for all recipients, a sender would
/// otherwise send again to those who have it (RFC 5321 4.2.5: whoever says 250 has to deliver, or to report).
async::Task<void> queue_failed(Engine& engine, std::shared_ptr<Strand> queue, const Common& common,
                               std::span<const proto::DeliveryTarget> targets,
                               std::span<proto::DeliveryOutcome> outcomes) {
    for (size_t i = 0; i < targets.size(); i++) {
        if (!outcomes[i].error || targets[i].recipient.empty() || targets[i].recipient.size() > kMaxAddress) continue;
        NewQueued message = new_queued(common.content, common.facts, *common.info);
        message.prefix = targets[i].trace;  // of its words alone nothing is known
        message.recipients = {targets[i].recipient};
        if (co_await put_into_queue(engine, queue, std::move(message))) outcomes[i].queued = true;
    }
}

}  // namespace

async::Task<Result<proto::DeliveryOutcomes>> deliver(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> queue,
                                                     Source source, proto::Deliver request) {
    if (request.targets.empty() || request.targets.size() > kMaxTargets)
        co_return permanent(ErrorCode::bad_request, "no target, or too many");
    if (request.facts.mail_from.size() > kMaxAddress || request.facts.message_id.size() > kMaxAddress)
        co_return permanent(ErrorCode::bad_request, "an address or the Message-ID is too long");
    if (!are_facts(request.facts.sender)) co_return permanent(ErrorCode::bad_request, "not what is known of a sender");
    if (auto error = check_facts({}, {}, request.facts.words)) co_return std::unexpected(std::move(*error));
    auto content = co_await take_content(engine, source, request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    auto info = std::make_shared<const std::string>(std::move(request.facts.info));
    Common common{std::move(*content), std::move(request.facts), std::move(info)};
    proto::DeliveryOutcomes outcomes;
    outcomes.targets.resize(request.targets.size());
    std::span<const proto::DeliveryTarget> targets = request.targets;
    std::span<proto::DeliveryOutcome> results = outcomes.targets;
    for (size_t i = 0; i < targets.size(); i += kTargetsAtOnce) {
        size_t count = std::min(kTargetsAtOnce, targets.size() - i);
        co_await deliver_some(accounts, common, targets.subspan(i, count), results.subspan(i, count));
    }
    auto failed =
        static_cast<size_t>(std::ranges::count_if(results, [](const auto& r) { return r.error.has_value(); }));
    engine.counters.delivery_failures += failed;
    engine.counters.deliveries += results.size() - failed;
    if (failed > 0 && failed < results.size()) co_await queue_failed(engine, queue, common, targets, results);
    co_return outcomes;
}

namespace {

async::Task<Result<NewMessage>> prepare_item(Engine& engine, const Source& source, proto::AppendItem& item) {
    if (auto error = check_facts(item.info, {}, item.words)) co_return std::unexpected(std::move(*error));
    auto content = co_await take_content(engine, source, item.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    NewMessage message;
    message.content = std::move(*content);
    message.info = std::make_shared<const std::string>(std::move(item.info));
    message.received = item.received;
    message.flags = item.flags;
    message.keywords = std::move(item.keywords);
    message.words = std::move(item.words);
    message.recipients = std::move(item.recipients);
    if (message.recipients.size() > proto::kMaxItemRecipients) message.recipients.resize(proto::kMaxItemRecipients);
    co_return message;
}

}  // namespace

async::Task<Result<proto::MessagesAppended>> append(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<Source> sources, proto::AppendMessages request,
                                                    std::string guest) {
    if (request.items.empty() || request.items.size() > kMaxAppended)
        co_return permanent(ErrorCode::bad_request, "no message, or too many");
    Account::Use use(account);
    std::vector<NewMessage> messages;
    for (size_t i = 0; i < request.items.size(); i++) {
        auto message = co_await prepare_item(engine, sources[i], request.items[i]);
        if (!message) co_return std::unexpected(std::move(message.error()));
        messages.push_back(std::move(*message));
    }
    size_t count = messages.size();
    auto work = [messages = std::move(messages), mailbox = request.mailbox,
                 replaced = request.replaced](MailStore& store) { return store.append(mailbox, messages, replaced); };
    auto appended = co_await account->run_for(std::move(guest), Access::write, request, std::move(work));
    if (appended) engine.counters.appended += count;
    co_return appended;
}

async::Task<Result<proto::MessagesImported>> import(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<Source> sources, proto::ImportMessages request) {
    if (request.items.empty() || request.items.size() > proto::kMaxImportedAtOnce)
        co_return permanent(ErrorCode::bad_request, "no message, or too many");
    Account::Use use(account);
    std::vector<ImportedMessage> messages;
    for (size_t i = 0; i < request.items.size(); i++) {
        auto message = co_await prepare_item(engine, sources[i], request.items[i].message);
        if (!message) co_return std::unexpected(std::move(message.error()));
        messages.push_back({std::move(request.items[i].key), std::move(*message)});
    }
    auto work = [messages = std::move(messages), mailbox = request.mailbox, run = request.run](MailStore& store) {
        return store.import(mailbox, run, messages);
    };
    auto imported = co_await account->run(Access::write, std::move(work));
    if (imported)
        engine.counters.appended += static_cast<uint64_t>(std::ranges::count_if(
            imported->messages, [](const auto& m) { return m.state < proto::ImportState::known; }));
    co_return imported;
}

async::Task<Result<proto::Enqueued>> enqueue(Engine& engine, std::shared_ptr<Strand> queue, Source source,
                                             proto::Enqueue request) {
    if (request.recipients.empty() || request.recipients.size() > kMaxRecipients)
        co_return permanent(ErrorCode::bad_request, "no recipient, or too many");
    if (auto error = check_facts(request.facts.info, request.prefix, request.facts.words))
        co_return std::unexpected(std::move(*error));
    size_t longest =
        std::max({request.account.size(), request.facts.mail_from.size(), request.facts.message_id.size()});
    for (const std::string& recipient : request.recipients) longest = std::max(longest, recipient.size());
    if (longest > kMaxAddress) co_return permanent(ErrorCode::bad_request, "an address or the Message-ID is too long");
    auto content = co_await take_content(engine, source, request.facts.size);
    if (!content) co_return std::unexpected(std::move(content.error()));
    NewQueued message = new_queued(*content, request.facts, std::move(request.facts.info));
    message.prefix = std::move(request.prefix);
    message.words = std::move(request.facts.words);
    message.account = std::move(request.account);
    message.recipients = std::move(request.recipients);
    co_return co_await put_into_queue(engine, std::move(queue), std::move(message));
}

namespace {

async::Task<Result<proto::Done>> add_from_queue(Engine& engine, std::shared_ptr<Account> account, QueuedContent queued,
                                                proto::QueueDeliverLocal request) {
    auto job = [file = queued.file, size = queued.file_size,
                bytes = std::move(queued.bytes)]() mutable -> ContentResult {
        if (bytes) return std::make_shared<Content>(std::move(*bytes));
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
    message.words = words_of(queued.words, request.target);
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
    if (auto error = check_facts(content->info, request.target.prefix + content->prefix, request.target.words))
        co_return std::unexpected(std::move(*error));
    uint64_t id = request.id;
    auto added = co_await add_from_queue(engine, account, std::move(*content), std::move(request));
    if (!added) co_return added;
    auto remove = [id](QueueStore& store) { return store.remove({id}); };
    co_return co_await queue->run<QueueStore>(Access::write, std::move(remove));
}

}  // namespace mox::storaged
