#include "moxctl/transfer/import.h"

#include <cstring>
#include <sodium.h>

#include "common/incoming/line_endings.h"
#include "common/ipc/codec.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"

namespace mox::moxctl {
namespace {

constexpr size_t kBatchMessages = 64;
constexpr size_t kBatchBytes = 1u << 20;
constexpr size_t kBatchFiles = 16;      // spool files: few at a time
constexpr size_t kBatchesUnderWay = 4;  // while one commits, the others gather
constexpr uint64_t kMaxMessage = uint64_t{1} << 30;

/// What a message is known by. The digest is one that nobody can find a second message for: a foreign one must not be
/// able to keep another from being imported.
class Key {
  public:
    explicit Key(std::string_view mailbox) {
        crypto_generichash_init(&state_, nullptr, 0, proto::kImportKeySize);
        add(mailbox);
        add(std::string_view("\0", 1));
    }
    void add(std::string_view bytes) {
        crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    }
    std::string finish() {
        std::string key(proto::kImportKeySize, '\0');
        crypto_generichash_final(&state_, reinterpret_cast<unsigned char*>(key.data()), key.size());
        return key;
    }

  private:
    crypto_generichash_state state_;
};

uint64_t random_number() {
    uint64_t number = 0;
    randombytes_buf(&number, sizeof number);
    return number >> 1;
}

}  // namespace

Import::Import(AccountLink& account, Source& source, ImportOptions options, Progress& progress,
               std::function<void(const std::string&, const std::string&)> name_skipped)
    : account_(account),
      source_(source),
      options_(std::move(options)),
      progress_(progress),
      name_skipped_(std::move(name_skipped)),
      run_(random_number()) {}

async::Task<void> Import::run() {
    for (const auto& mailbox : (co_await account_.ask(proto::ListMailboxes{})).mailboxes)
        mailboxes_.insert(mailbox.name);
    for (bool more = true; more;) {
        SourceMessage message;
        std::optional<Skipped> skipped;
        try {
            more = source_.next(message);
            if (more) co_await take(message);
        } catch (const Skipped& s) {
            skipped.emplace(s);
        }
        if (skipped) skip(skipped->origin, skipped->what());
        progress_.show("messages", counts_.added + counts_.known, counts_.bytes);
    }
    co_await flush();
    co_await wait_for_answers(0);
}

void Import::skip(const std::string& origin, const std::string& reason) {
    counts_.not_taken++;
    progress_.clear();
    name_skipped_(origin, reason);
}

std::string Import::mailbox_for(const SourceMessage& message) const {
    if (options_.mailbox.empty()) return message.mailbox.empty() ? "INBOX" : message.mailbox;
    return message.mailbox.empty() ? options_.mailbox : options_.mailbox + '/' + message.mailbox;
}

async::Task<void> Import::need_mailbox(const std::string& name) {
    if (mailboxes_.contains(name)) co_return;
    auto created = co_await account_.call(proto::CreateMailbox{name, 0}, std::chrono::minutes(5));
    if (!created && created.error().is_temporary()) throw Failed(std::move(created.error()));
    if (!created && created.error().code != ErrorCode::exists) throw Skipped("mailbox " + name, created.error().text);
    if (created)
        for (const auto& mailbox : created->created) counts_.mailboxes += mailboxes_.insert(mailbox.name).second;
    mailboxes_.insert(name);
}

async::Task<void> Import::take(const SourceMessage& message) {
    std::string mailbox = mailbox_for(message);
    if (mailbox != batch_.request.mailbox) {
        co_await flush();
        try {
            co_await need_mailbox(mailbox);
        } catch (const Skipped& s) {
            throw Skipped(message.origin, s.origin + ": " + s.what());
        }
        batch_.request.mailbox = mailbox;
    }
    if (message.kind == SourceKind::mailbox) co_return;
    co_await read_message(message, mailbox);
    bool full = batch_.origins.size() >= kBatchMessages || batch_.bytes >= kBatchBytes || batch_.files >= kBatchFiles;
    if (full) co_await flush();
}

async::Task<void> Import::read_message(const SourceMessage& message, const std::string& mailbox) {
    incoming::Content<AccountLink> content(account_);
    incoming::LineEndings endings;
    mail::MimeParser parser;
    Key key(mailbox);
    std::string converted;
    for (std::string_view piece = source_.read(); !piece.empty(); piece = source_.read()) {
        converted.clear();
        endings.convert(piece, converted);
        parser.feed(converted);
        key.add(converted);
        co_await content.add(converted);
        if (content.size() > kMaxMessage) throw Skipped(message.origin, "larger than any message may be");
    }
    mail::MessageInfo info = parser.finish();
    proto::ImportItem item;
    item.message.words = mail::word_list_of(content, info);
    content.finish();
    if (content.size() == 0) throw Skipped(message.origin, "empty");
    if (content.error()) throw Failed(*content.error());
    if (options_.repeats == Repeats::leave_out) item.key = key.finish();
    item.message.size = content.size();
    item.message.flags = message.flags;
    item.message.keywords = message.keywords;
    item.message.received = {options_.now, 0};
    if (info.date) item.message.received = {info.date->unix_seconds, info.date->zone_minutes};
    if (message.received) item.message.received = *message.received;
    item.message.recipients = mail::recipient_addresses(info, proto::kMaxItemRecipients);
    item.message.info = ipc::encode(info);
    content.give_to(item.message);
    counts_.bytes += item.message.size;
    batch_.bytes += item.message.content.size() + item.message.info.size() + item.message.words.size();
    for (const auto& address : item.message.recipients) batch_.bytes += address.size();
    batch_.files += item.message.spool != 0;
    batch_.origins.push_back(message.origin);
    batch_.request.items.push_back(std::move(item));
}

/// Sends what has gathered, once not too much is under way.
async::Task<void> Import::flush() {
    if (batch_.origins.empty()) co_return;
    std::string mailbox = batch_.request.mailbox;
    Batch batch = std::exchange(batch_, {});
    batch_.request.mailbox = mailbox;
    batch.request.run = run_;
    co_await wait_for_answers(kBatchesUnderWay - 1);
    under_way_++;
    scope_.spawn(send(std::move(batch)));
    co_await async::Yield();  // the source is read without waiting: let the batch go out first
}

async::Task<void> Import::wait_for_answers(size_t at_most) {
    while (under_way_ > at_most) co_await answered_.wait();
    if (error_) throw Failed(*error_);
}

async::Task<void> Import::send(Batch batch) {
    auto imported = co_await account_.call(std::move(batch.request), std::chrono::minutes(5));
    under_way_--;
    answered_.notify_all();
    if (imported && imported->messages.size() != batch.origins.size())
        imported = temporary(ErrorCode::internal, "storaged did not answer for each message");
    if (!imported) {
        if (!error_) error_ = std::move(imported.error());
        co_return;
    }
    for (size_t i = 0; i < batch.origins.size(); i++) {
        const proto::ImportOutcome& outcome = imported->messages[i];
        counts_.added += outcome.state < proto::ImportState::known;
        counts_.known += outcome.state == proto::ImportState::known;
        if (outcome.state == proto::ImportState::refused) skip(batch.origins[i], outcome.error.text);
        if (outcome.state == proto::ImportState::added_without_keywords)
            name_skipped_(batch.origins[i], "imported without some of its keywords: the mailbox has too many");
        // What is over quota now stays so; going on would only name all the rest.
        if (outcome.state == proto::ImportState::refused && outcome.error.code == ErrorCode::over_quota && !error_)
            error_ = outcome.error;
    }
}

}  // namespace mox::moxctl
