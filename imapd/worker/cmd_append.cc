// APPEND (RFC 3501 6.3.11) with APPENDUID (RFC 4315 3).
//
// The message goes from the stream through the parser and on its way to storaged in one pass, so memory does not depend
// on its size. A message that is refused before its literal is asked for is never sent; one that is on its way already
// is read and dropped.
#include <chrono>

#include "common/incoming/content.h"
#include "common/incoming/line_endings.h"
#include "common/ipc/codec.h"
#include "common/mail/mime_parser.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

async::Task<mail::MessageInfo> receive(Session& session, uint64_t left, incoming::Content<Account>& content) {
    incoming::LineEndings endings;
    mail::MimeParser parser;
    std::string converted;
    while (left > 0) {
        auto bytes =
            co_await session.stream().read_some(std::min<uint64_t>(left, 65536), async::in(session.limits().piece));
        if (bytes.empty()) throw async::ConnectionLost("closed by the peer inside a message");
        left -= bytes.size();
        if (content.error()) continue;  // the rest is read all the same, to stay in step
        converted.clear();
        endings.convert(bytes, converted);
        parser.feed(converted);
        co_await content.add(converted);
    }
    content.finish();
    co_return parser.finish();
}

proto::Timestamp timestamp(const std::optional<mail::DateTime>& given) {
    if (given) return {given->unix_seconds, given->zone_minutes};
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::seconds>(now).count(), 0};
}

async::Task<void> need_mailbox(Session& session, std::string name) {
    if (session.account().remembers(name)) co_return;
    session.account().remember(co_await session.ask(proto::ListMailboxes{}));
    if (session.account().remembers(name)) co_return;
    fail_no("[TRYCREATE] no such mailbox");  // RFC 3501 6.3.11
}

}  // namespace

async::Task<Answer> cmd_append(Session& session, const Command& command) {
    const auto& args = std::get<AppendArguments>(command.arguments);
    auto literal = session.take_message();
    if (!literal) fail_bad("expected the message as a literal");
    // What is thrown from here to the literal's begin leaves its bytes, if any, to the session.
    session.give_back(literal);
    if (literal->size > session.max_message_size())
        fail_no("[TOOBIG] the message is larger than this server takes");  // RFC 7889 4
    if (literal->size == 0) fail_no("an empty message is no message");
    co_await need_mailbox(session, args.mailbox);
    incoming::Content<Account> content(session.account());
    session.take_message();
    if (literal->synchronising) {
        session.stream().write("+ go ahead\r\n");
        co_await session.flush();
    }
    mail::MessageInfo info = co_await receive(session, literal->size, content);
    auto rest = co_await session.stream().read_line(1000, async::in(session.limits().piece));
    if (rest.end != async::LineEnd::crlf) throw FatalInput("the line after the message is too long");
    if (!rest.text.empty()) fail_bad("unexpected text after the message");
    if (content.error()) fail_no("[UNAVAILABLE] " + content.error()->text);
    proto::AppendItem item{0, content.size(), args.flags.bits, {}, timestamp(args.date), ipc::encode(info)};
    content.give_to(item);
    item.keywords = args.flags.keywords;
    proto::AppendMessages request{args.mailbox, {}};
    request.items.push_back(std::move(item));
    auto appended = co_await session.ask(std::move(request), "TRYCREATE");
    session.touch_copied(appended.uidvalidity);
    if (appended.uids.empty()) co_return Answer{Answer::Status::ok, "appended"};
    std::string code = std::to_string(appended.uidvalidity) + ' ' + std::to_string(appended.uids.front().value);
    co_return Answer{Answer::Status::ok, "[APPENDUID " + code + "] appended"};  // RFC 4315 3
}

}  // namespace mox::imapd
