// APPEND (RFC 3501 6.3.11) with APPENDUID (RFC 4315 3), of several messages (RFC 3502), of parts that are here already
// (CATENATE, RFC 4469), and REPLACE (RFC 8508).
//
// DEVIATES RFC 6855 4: header fields with bytes above ASCII are taken whether UTF8=ACCEPT is enabled or not; clients
// copy the mail there is, also such as nobody could send today.
//
// Messages are received one after the other and given to storaged together: all or none. One that is refused before its
// literal is asked for is never sent; what is on its way already is read and dropped by the session.
#include "imapd/worker/catenate.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/incoming_message.h"
#include "imapd/worker/message_limit.h"

namespace mox::imapd {
namespace {

// Of one APPEND, so that it fits into one request to storaged.
constexpr size_t kMaxFiles = 50;
constexpr size_t kMaxMemory = 3 << 20;

async::Task<void> need_mailbox(Session& session, std::string name) {
    if (!proto::owner_of(name).empty()) co_return;  // who may put messages there need not see it in a list
    if (session.account().remembers(name)) co_return;
    session.account().remember(co_await session.ask(proto::ListMailboxes{}));
    if (session.account().remembers(name)) co_return;
    fail_no("[TRYCREATE] no such mailbox");  // RFC 3501 6.3.11
}

class Append {
  public:
    explicit Append(Session& session) : session_(session) {}

    /// Takes all messages of the command.
    async::Task<void> receive(std::vector<AppendStep> steps, AppendParser parser);
    std::vector<proto::AppendItem> give();

  private:
    async::Task<bool> take(std::vector<AppendStep> steps);
    async::Task<void> take_literal();
    async::Task<void> take_url(std::string url);
    void begin(const AppendStep& step);
    void finish_message();
    void check_size(uint64_t more) const;

    Session& session_;
    std::vector<std::unique_ptr<IncomingMessage>> messages_;
    size_t memory_ = 0;
    size_t files_ = 0;
    bool open_ = false;  // the last message may still grow
    bool binary_ = false;
};

void Append::check_size(uint64_t more) const {
    if (more > session_.max_message_size() || messages_.back()->size() > session_.max_message_size() - more)
        fail_no("[TOOBIG] the message is larger than this server takes");  // RFC 7889 4, RFC 4469 4
}

void Append::begin(const AppendStep& step) {
    check_save_limit(session_, messages_.size() + 1);  // RFC 9738 3.1: all or none
    if (memory_ > kMaxMemory || files_ == kMaxFiles) fail_no("[LIMIT] too many messages in one APPEND");
    messages_.push_back(std::make_unique<IncomingMessage>(session_.account(), step));
    open_ = true;
    binary_ = false;
}

void Append::finish_message() {
    if (!std::exchange(open_, false)) return;
    auto& message = *messages_.back();
    memory_ += message.finish();
    files_ += message.has_file();
    if (message.error()) fail_no("[UNAVAILABLE] " + message.error()->text);
    if (message.size() == 0) fail_no("an empty message is no message");  // RFC 3502 6.3.11
    // RFC 3516 4.4: NUL could not be given out again as it came
    if (binary_ && message.has_nul()) fail_no("[UNKNOWN-CTE] a message with NUL cannot be kept");
}

async::Task<void> Append::take_literal() {
    auto literal = session_.message();
    if (!literal) fail_bad("expected the message as a literal");
    check_size(literal->size);
    auto& message = *messages_.back();
    binary_ |= literal->binary;
    session_.take_message();
    if (literal->synchronising) {
        session_.stream().write("+ go ahead\r\n");
        co_await session_.flush();
    }
    for (uint64_t left = literal->size; left > 0;) {
        auto bytes =
            co_await session_.stream().read_some(std::min<uint64_t>(left, 65536), async::in(session_.limits().piece));
        if (bytes.empty()) throw async::ConnectionLost("closed by the peer inside a message");
        left -= bytes.size();
        co_await message.add(bytes);
    }
}

async::Task<void> Append::take_url(std::string url) {
    auto part = co_await find_part_of_url(session_, url);
    check_size(part.range.length);
    std::string piece(64 * 1024, '\0');
    while (part.range.length > 0) {
        size_t n = part.message.read(part.range.offset,
                                     std::span(piece).first(std::min<uint64_t>(piece.size(), part.range.length)));
        if (n == 0) fail_no("[BADURL " + printable_url(url) + "] the message cannot be read");
        co_await messages_.back()->add(std::string_view(piece).substr(0, n));
        part.range.offset += n;
        part.range.length -= n;
    }
}

// True at the end of the command.
async::Task<bool> Append::take(std::vector<AppendStep> steps) {
    for (const auto& step : steps) {
        switch (step.kind) {
            case AppendStep::Kind::message:
                finish_message();
                begin(step);
                break;
            case AppendStep::Kind::literal:
                co_await take_literal();
                break;
            case AppendStep::Kind::url:
                co_await take_url(step.url);
                break;
            default:
                if (session_.message()) fail_bad("unexpected text after the message");
                finish_message();
                co_return true;
        }
    }
    co_return false;
}

async::Task<void> Append::receive(std::vector<AppendStep> steps, AppendParser parser) {
    while (!co_await take(std::move(steps))) {
        auto further = co_await read_further(session_.stream(), session_.further_limits());
        session_.next_message(further.message);
        steps = parser.feed(further.text);
    }
}

std::vector<proto::AppendItem> Append::give() {
    std::vector<proto::AppendItem> items;
    for (auto& message : messages_) items.push_back(message->give());
    return items;
}

std::optional<proto::ReplacedMessage> find_replaced(Session& session, const Command& command,
                                                    const AppendArguments& args) {
    if (!args.replaced) return std::nullopt;
    session.need_write_access();
    auto& view = session.view();
    auto selection = view.select(*args.replaced, command.numbers);
    if (selection.empty() || view.is_gone(view.rows()[selection[0].begin].uid))
        fail_no("[EXPUNGEISSUED] the message does not exist any more");
    return proto::ReplacedMessage{view.id(), {view.rows()[selection[0].begin].uid}};
}

// RFC 4315 3, RFC 3502 6.3.11
std::string appenduid(const proto::MessagesAppended& appended) {
    SetWriter uids;
    for (proto::Uid uid : appended.uids) uids.add(uid.value);
    return "[APPENDUID " + std::to_string(appended.uidvalidity) + ' ' + uids.take() + "] ";
}

}  // namespace

async::Task<Answer> cmd_append(Session& session, const Command& command) {
    const auto& args = std::get<AppendArguments>(command.arguments);
    auto replaced = find_replaced(session, command, args);
    co_await need_mailbox(session, args.mailbox);
    Append append(session);
    co_await append.receive(args.steps, args.parser);
    auto items = append.give();
    if (replaced && items.size() != 1) fail_bad("a message is replaced by one");  // RFC 8508 5
    auto appended = co_await session.ask(proto::AppendMessages{args.mailbox, std::move(items), replaced}, "TRYCREATE");
    session.touch_added(appended.mailbox, {appended.uids.front().value, appended.uids.back().value});
    if (!replaced) co_return Answer{Answer::Status::ok, appenduid(appended) + "appended"};
    session.untagged("OK " + appenduid(appended) + "replaced");  // RFC 8508 3.3: before the EXPUNGE
    std::vector<proto::UidRange> gone{{replaced->uid.value, replaced->uid.value}};
    session.view().take_expunged(gone);
    session.touch_others();
    session.expect_news();
    co_return Answer{Answer::Status::ok, "replaced", true};
}

}  // namespace mox::imapd
