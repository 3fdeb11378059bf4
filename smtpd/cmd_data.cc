// DATA (RFC 5321 4.1.1.4): the content streams into a spool file of storaged's and through the MIME parser in one pass;
// then it is delivered, or queued, and only what is on disk is answered with 250.
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>
#include <unistd.h>

#include "common/ipc/codec.h"
#include "common/mail/address_list.h"
#include "common/mail/mime_parser.h"
#include "smtpd/data_reader.h"
#include "smtpd/received.h"
#include "smtpd/session.h"

namespace mox::smtpd {
namespace {

constexpr size_t kWriteChunk = 65536;
// RFC 5321 4.5.3.1.6 allows 998 and a CRLF; much is longer. What is beyond this is not mail.
constexpr uint64_t kMaxContentLine = 1 << 20;

mail::DateTime now() {
    return {std::time(nullptr), 0};
}

/// Where the content goes while it comes in: the spool file and the parser.
class Content {
  public:
    explicit Content(proto::SpoolFile spool) : spool_(spool.spool), file_(std::move(spool.file)) {}

    void add(std::string_view bytes) {
        size_ += bytes.size();
        parser_.feed(bytes);
        buffer_ += bytes;
        if (buffer_.size() >= kWriteChunk) write_out();
    }
    /// Closes the file: storaged takes it only when nobody can write to it any more.
    mail::MessageInfo finish() {
        write_out();
        file_.reset();
        return parser_.finish();
    }
    uint64_t spool() const { return spool_; }
    uint64_t size() const { return size_; }
    /// Why the file could not be written; empty when it could.
    const std::string& error() const { return error_; }

  private:
    void write_out() {
        std::string_view rest = buffer_;
        while (!rest.empty() && error_.empty()) {
            ssize_t n = ::write(file_.get(), rest.data(), rest.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0)
                error_ = std::strerror(errno);
            else
                rest.remove_prefix(static_cast<size_t>(n));
        }
        buffer_.clear();
    }
    uint64_t spool_;
    Fd file_;
    mail::MimeParser parser_;
    std::string buffer_;
    std::string error_;
    uint64_t size_ = 0;
};

/// Gives an unused spool file back, however the command ends.
struct SpoolGuard {
    ipc::Link& storage;
    uint64_t spool;
    bool used = false;
    ~SpoolGuard() {
        if (!used) storage.send(proto::DropSpool{spool});
    }
};

enum class Reading : uint8_t { complete, too_large, bare_line_end };

async::Task<Reading> read_content(Session& s, Content& content) {
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
        if (received > 2 * limit + kWriteChunk) throw async::ConnectionLost("message far too large");
        // What is too large or refused is read to its end, so that the session stays in step, but not kept.
        if (content.size() <= limit && !reader.has_bare_line_end()) content.add(piece);
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

proto::MessageFacts facts_of(const Session& s, const Content& content, const mail::MessageInfo& info) {
    auto when = now();
    return {content.size(),    {when.unix_seconds, when.zone_minutes},
            ipc::encode(info), s.transaction->mail_from,
            s.remote_address,  s.hello};
}

/// One target for each mailbox, whatever number of recipients lead to it.
std::vector<proto::DeliveryTarget> targets_of(const Session& s) {
    std::vector<proto::DeliveryTarget> targets;
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& r : s.transaction->recipients) {
        if (!seen.emplace(r.resolved.account, r.resolved.mailbox).second) continue;
        std::string prefix = "Return-Path: <" + s.transaction->mail_from + ">\r\n";
        prefix += "Delivered-To: " + r.text + "\r\n";
        prefix += received(s, r.text);
        targets.push_back({r.resolved.account, r.resolved.mailbox, std::move(prefix)});
    }
    return targets;
}

async::Task<void> deliver(Session& s, Content& content, const mail::MessageInfo& info, SpoolGuard& guard) {
    for (const auto& r : s.transaction->recipients)
        if (co_await answer_magic(s, r.path.address.localpart, text::MagicStage::data)) co_return;
    if (info.received_count > kMaxReceived) {
        s.reply(554, "5.4.6", fmt::format("more than {} Received fields: mail loop", kMaxReceived));  // RFC 5321 6.3
        co_return;
    }
    auto targets = targets_of(s);
    size_t count = targets.size();
    guard.used = true;
    auto outcomes = co_await s.smtpd.storage.call(
        proto::Deliver{content.spool(), facts_of(s, content, info), std::move(targets)}, kPeerLimit);
    const Error* failed = outcomes ? nullptr : &outcomes.error();
    if (outcomes)
        for (const auto& outcome : outcomes->targets)
            if (outcome.error) failed = &*outcome.error;
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

async::Task<void> submit(Session& s, Content& content, const mail::MessageInfo& info, SpoolGuard& guard) {
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
    message.spool = content.spool();
    message.facts = facts_of(s, content, info);
    message.account = s.account;
    message.prefix = submission_prefix(s, info, message.message_id);
    message.smtputf8 = s.transaction->parameters.smtputf8;
    message.has_8bit = info.has_8bit_body || info.has_8bit_header;
    for (const auto& r : s.transaction->recipients) message.recipients.push_back(r.text);
    std::string message_id = message.message_id;
    guard.used = true;
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
    auto spool = co_await s.smtpd.storage.call(proto::CreateSpool{}, kPeerLimit);
    if (!spool) {
        s.reply_error(spool.error());
        s.reset_transaction();
        co_return;
    }
    Content content(std::move(*spool));
    SpoolGuard guard{s.smtpd.storage, content.spool()};
    s.reply(354, "", "go ahead; end with CRLF.CRLF");
    co_await s.stream.flush(async::in(kWriteLimit));
    Reading reading = co_await read_content(s, content);
    mail::MessageInfo info = content.finish();
    if (reading == Reading::bare_line_end) {
        s.reply(554, "5.6.0", "a line ends with CR or LF alone; only CRLF ends a line (RFC 5321 2.3.8)");
    } else if (reading == Reading::too_large) {
        s.reply(552, "5.3.4", fmt::format("a message may have {} bytes", s.listener->config.max_message_size));
    } else if (!content.error().empty()) {
        s.log.error("spool file cannot be written", {{"error", content.error()}});
        s.reply(452, "4.3.1", "no room for the message at the moment");
    } else if (info.max_line_length > kMaxContentLine) {
        s.reply(554, "5.6.0", "a line of the message is too long");
    } else if (s.is_submission()) {
        co_await submit(s, content, info, guard);
    } else {
        co_await deliver(s, content, info, guard);
    }
    s.reset_transaction();
}

}  // namespace mox::smtpd
