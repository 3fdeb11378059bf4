// DATA (RFC 5321 4.1.1.4): the content streams through the MIME parser and on its way to storaged in one pass; then it
// is delivered, or queued, and only what is on disk is answered with 250.
#include <ctime>
#include <set>

#include "common/incoming/content.h"
#include "common/ipc/codec.h"
#include "common/mail/address_list.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"
#include "common/text/ascii.h"
#include "smtpd/data_reader.h"
#include "smtpd/received.h"
#include "smtpd/session.h"

namespace mox::smtpd {
namespace {

constexpr size_t kMaxMessageId = 998;  // RFC 5322 2.1.1
constexpr uint64_t kSlack = 65536;     // beyond twice the size limit
// RFC 5321 4.5.3.1.6 allows 998 and a CRLF; much is longer. What is beyond this is not mail.
constexpr uint64_t kMaxContentLine = 1 << 20;

mail::DateTime now() {
    return {std::time(nullptr), 0};
}

using Incoming = incoming::Content<ipc::Link>;

enum class Reading : uint8_t { complete, too_large, bare_line_end };

/// Through the parser and on its way to storaged in one pass.
async::Task<Reading> read_content(Session& s, Incoming& content, mail::MimeParser& parser) {
    DataReader reader;
    std::string piece;
    auto deadline = async::in(kDataLimit);
    uint64_t received = 0;
    uint64_t limit = s.listener->config.max_message_size;
    while (!reader.done()) {
        if (s.stream.buffered().empty()) {
            auto block = std::min(deadline, async::in(kDataBlockLimit));
            if (!co_await s.stream.fill(block)) throw async::ConnectionLost("closed by the peer within DATA");
        }
        piece.clear();
        s.stream.consume(reader.feed(s.stream.buffered(), piece));
        s.smtpd.counters.bytes += piece.size();
        received += piece.size();
        if (received > 2 * limit + kSlack) throw async::ConnectionLost("message far too large");
        // What is too large or refused is read to its end, so that the session stays in step, but not kept.
        if (content.size() > limit || reader.has_bare_line_end()) continue;
        parser.feed(piece);
        co_await content.add(piece);
    }
    if (reader.has_bare_line_end()) co_return Reading::bare_line_end;
    co_return content.size() > limit ? Reading::too_large : Reading::complete;
}

std::string received(const Session& s, const std::string& for_address) {
    const auto& t = *s.transaction;
    TraceFacts facts;
    bool submission = s.is_submission();
    // Where an account's owner is when writing mail is nobody's business.
    if (!submission) {
        bool v6 = s.remote_address.find(':') != std::string::npos;
        facts.from = fmt::format("{} ([{}{}])", s.hello, v6 ? "IPv6:" : "", s.remote_address);
    }
    facts.by = s.listener->config.hostname;
    facts.with = with_protocol(s.extended ? Extended::yes : Extended::no, s.has_tls() ? Encrypted::yes : Encrypted::no,
                               s.account.empty() ? Authenticated::no : Authenticated::yes,
                               t.parameters.smtputf8 ? Internationalized::yes : Internationalized::no);
    facts.id = fmt::format("{:x}", s.cid);
    if (s.has_tls()) facts.tls = s.tls_version + " " + s.tls_cipher;
    facts.for_address = for_address;
    facts.when = now();
    return received_field(facts);
}

/// The address in From when there is just one, in lower case (RFC 5322 3.6.2).
std::string from_address(const mail::MessageInfo& info) {
    if (info.envelopes.empty() || info.envelopes[0].from.size() != 1) return {};
    const auto& from = info.envelopes[0].from.front();
    return from.mailbox && from.host ? text::to_lower(*from.mailbox + '@' + *from.host) : std::string();
}

proto::MessageFacts facts_of(const Session& s, const Incoming& content, const mail::MessageInfo& info,
                             std::string words) {
    auto when = now();
    proto::MessageFacts facts{content.size(),    {when.unix_seconds, when.zone_minutes},
                              ipc::encode(info), s.transaction->mail_from,
                              s.remote_address,  s.hello};
    if (!info.envelopes.empty()) facts.message_id = info.envelopes[0].message_id.value_or("");
    if (facts.message_id.size() > kMaxMessageId) facts.message_id.clear();
    facts.smtputf8 = s.transaction->parameters.smtputf8;
    facts.has_8bit = info.has_8bit_body || info.has_8bit_header;
    facts.words = std::move(words);
    facts.sender.from = from_address(info);
    return facts;
}

/// One target for each mailbox, whatever number of recipients lead to it.
std::vector<proto::DeliveryTarget> targets_of(const Session& s) {
    std::vector<proto::DeliveryTarget> targets;
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& r : s.transaction->recipients) {
        if (!seen.emplace(r.resolved.account, r.resolved.mailbox).second) continue;
        std::string prefix = "Return-Path: <" + s.transaction->mail_from + ">\r\n";
        prefix += "Delivered-To: " + r.text + "\r\n";
        std::string trace = received(s, r.text);
        std::string words = mail::header_word_list(prefix + trace);
        targets.push_back(
            {r.resolved.account, r.resolved.mailbox, std::move(prefix), std::move(trace), r.text, std::move(words)});
    }
    return targets;
}

/// The first outcome that is a failure for the sender: one that is not in the queue instead.
const Error* first_failure(const Session& s, const std::vector<proto::DeliveryOutcome>& outcomes, size_t& queued) {
    for (const auto& outcome : outcomes) {
        if (outcome.error && !outcome.queued) return &*outcome.error;
        if (!outcome.error) continue;
        s.log.warn("a mailbox failed: the message waits for it in the queue", {{"error", outcome.error->text}});
        queued++;
    }
    return nullptr;
}

async::Task<void> deliver(Session& s, Incoming& content, const mail::MessageInfo& info, std::string words) {
    for (const auto& r : s.transaction->recipients)
        if (co_await answer_magic(s, r.path.address.localpart, text::MagicStage::data)) co_return;
    if (info.received_count > kMaxReceived) {
        s.reply(554, "5.4.6", fmt::format("more than {} Received fields: mail loop", kMaxReceived));  // RFC 5321 6.3
        co_return;
    }
    auto targets = targets_of(s);
    size_t count = targets.size();
    proto::Deliver message{0, facts_of(s, content, info, std::move(words)), std::move(targets)};
    content.give_to(message);
    auto outcomes = co_await s.smtpd.storage.call(std::move(message), kPeerLimit);
    const Error* failed = outcomes ? nullptr : &outcomes.error();
    size_t queued = 0;
    if (outcomes) failed = first_failure(s, outcomes->targets, queued);
    if (failed != nullptr) {
        s.smtpd.counters.delivery_failed++;
        s.log.warn("delivery failed", {{"from", s.transaction->mail_from}, {"error", failed->text}});
        s.reply_error(*failed);
        co_return;
    }
    s.smtpd.counters.delivered++;
    s.log.info("delivered", {{"from", s.transaction->mail_from},
                             {"to", s.transaction->recipients[0].text},
                             {"recipients", s.transaction->recipients.size()},
                             {"mailboxes", count},
                             {"queued", queued},
                             {"size", content.size()},
                             {"remote", s.remote_address},
                             {"tls", s.tls_version}});
    s.reply(250, "2.0.0", "delivered, id " + s.log.cid());
}

/// Why a submitted message may not go out; nothing when it may. RFC 6409 6 and 8.
async::Task<std::optional<Error>> check_submission(Session& s, const mail::MessageInfo& info) {
    const mail::Envelope* envelope = info.envelopes.empty() ? nullptr : &info.envelopes[0];
    if (info.parts.empty() || info.parts[0].truncated)
        co_return Error{Persistence::permanent, ErrorCode::bad_request, "the header is too large to be checked"};
    if (envelope == nullptr || info.from_count != 1)
        co_return Error{Persistence::permanent, ErrorCode::bad_request, "a message has exactly one From field"};
    std::optional<mail::Address> author;
    size_t authors = 0;
    for (const auto& entry : envelope->from)
        if (auto address = mail::to_address(entry)) author = std::move(address), authors++;
    if (authors != 1)
        co_return Error{Persistence::permanent, ErrorCode::bad_request, "the From field has exactly one address"};
    auto allowed = co_await s.smtpd.auth.call(proto::CheckSender{s.account, mail::to_string(*author)}, kPeerLimit);
    if (allowed) co_return std::nullopt;
    if (allowed.error().is_temporary()) co_return allowed.error();
    co_return Error{Persistence::permanent, ErrorCode::denied,
                    "this account may not send with From " + mail::to_string(*author)};
}

/// Date and Message-ID when the client left them out (RFC 6409 8.2, 8.3), and our Received.
std::string submission_prefix(const Session& s, const mail::MessageInfo& info, std::string& message_id) {
    std::string prefix = received(s, s.transaction->recipients.size() == 1 ? s.transaction->recipients[0].text : "");
    const auto& envelope = info.envelopes[0];
    message_id = envelope.message_id.value_or("");
    if (message_id.empty()) {
        message_id = fmt::format("<{:x}.{:x}@{}>", s.cid, log::new_cid(), s.listener->config.hostname);
        prefix += "Message-ID: " + message_id + "\r\n";
    }
    if (!envelope.date || envelope.date->empty()) prefix += "Date: " + mail::format_date(now()) + "\r\n";
    return prefix;
}

async::Task<void> submit(Session& s, Incoming& content, const mail::MessageInfo& info, std::string words) {
    for (const auto& r : s.transaction->recipients)
        if (co_await answer_magic(s, r.path.address.localpart, text::MagicStage::data)) co_return;
    if (auto refused = co_await check_submission(s, info)) {
        bool denied = refused->code == ErrorCode::denied;
        if (refused->is_temporary())
            s.reply_error(*refused);
        else
            s.reply(550, denied ? "5.7.1" : "5.6.0", refused->text);
        co_return;
    }
    proto::Enqueue message{};
    message.facts = facts_of(s, content, info, std::move(words));
    content.give_to(message);
    message.account = s.account;
    message.prefix = submission_prefix(s, info, message.facts.message_id);
    message.facts.words = mail::join_word_lists(message.facts.words, mail::header_word_list(message.prefix));
    for (const auto& r : s.transaction->recipients) message.recipients.push_back(r.text);
    std::string message_id = message.facts.message_id;
    auto enqueued = co_await s.smtpd.storage.call(std::move(message), kPeerLimit);
    if (!enqueued) {
        s.smtpd.counters.submission_failed++;
        s.log.warn("message not queued", {{"account", s.account}, {"error", enqueued.error().text}});
        s.reply_error(enqueued.error());
        co_return;
    }
    s.smtpd.counters.submitted++;
    s.log.info("queued", {{"account", s.account},
                          {"from", s.transaction->mail_from},
                          {"recipients", s.transaction->recipients.size()},
                          {"size", content.size()},
                          {"message_id", message_id},
                          {"first_id", enqueued->ids.empty() ? 0 : enqueued->ids[0]}});
    s.reply(250, "2.0.0", "queued, id " + s.log.cid());
}

}  // namespace

async::Task<void> cmd_data(Session& s, Command command) {
    if (!command.arguments.empty()) {
        s.reply(501, "5.5.4", "DATA takes no argument");
        co_return;
    }
    if (!s.transaction || s.transaction->recipients.empty()) {
        s.reply(503, "5.5.1", s.transaction ? "no valid recipient" : "MAIL and RCPT first");  // RFC 5321 3.3
        co_return;
    }
    s.reply(354, "", "go ahead; end with CRLF.CRLF");
    co_await s.stream.flush(async::in(kWriteLimit));
    Incoming content(s.smtpd.storage);
    mail::MimeParser parser;
    Reading reading = co_await read_content(s, content, parser);
    mail::MessageInfo info = parser.finish();
    std::string words;
    if (reading == Reading::complete) words = mail::word_list_of(content, info);
    content.finish();
    if (reading == Reading::bare_line_end) {
        s.reply(554, "5.6.0", "a line ends with CR or LF alone; only CRLF ends a line (RFC 5321 2.3.8)");
    } else if (reading == Reading::too_large) {
        s.reply(552, "5.3.4", fmt::format("a message may have {} bytes", s.listener->config.max_message_size));
    } else if (content.error()) {
        s.log.error("the message cannot be kept while it comes in", {{"error", content.error()->text}});
        s.reply_error(*content.error());
    } else if (info.max_line_length > kMaxContentLine) {
        s.reply(554, "5.6.0", "a line of the message is too long");
    } else if (s.is_submission()) {
        co_await submit(s, content, info, std::move(words));
    } else {
        co_await deliver(s, content, info, std::move(words));
    }
    s.reset_transaction();
}

}  // namespace mox::smtpd
