// APPEND (RFC 3501 6.3.11) with APPENDUID (RFC 4315 3).
//
// The message goes from the stream to a spool file and through the parser in one pass, so memory does not depend on its
// size. A message that is refused before its literal is asked for is never sent; one that is on its way already is read
// and dropped.
#include <chrono>
#include <unistd.h>

#include "common/ipc/codec.h"
#include "common/mail/mime_parser.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

// Lines end in CRLF in the store, whatever the client sent.
class LineEndings {
  public:
    /// Appends `bytes` with each bare LF made CRLF.
    void convert(std::string_view bytes, std::string& out) {
        for (;;) {
            auto at = bytes.find('\n');
            if (at == std::string_view::npos) break;
            bool bare = at > 0 ? bytes[at - 1] != '\r' : last_ != '\r';
            out += bytes.substr(0, at);
            out += bare ? "\r\n" : "\n";
            bytes.remove_prefix(at + 1);
            last_ = '\n';
        }
        out += bytes;
        if (!bytes.empty()) last_ = bytes.back();
    }

  private:
    char last_ = 0;
};

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

// Gives the spool file back when the append does not come to its end.
class Spool {
  public:
    Spool(Account& account, proto::SpoolFile file) : account_(account), id_(file.spool), file_(std::move(file.file)) {}
    ~Spool() {
        file_.reset();
        if (!used_) account_.send(proto::DropSpool{id_});
    }
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    int fd() const { return file_.get(); }
    uint64_t id() const { return id_; }
    void close() { file_.reset(); }
    void mark_used() { used_ = true; }

  private:
    Account& account_;
    uint64_t id_;
    Fd file_;
    bool used_ = false;
};

struct Received {
    uint64_t size = 0;  // as stored
    mail::MessageInfo info;
    bool written = true;
};

async::Task<Received> receive(Session& session, uint64_t left, int fd) {
    Received received;
    LineEndings endings;
    mail::MimeParser parser;
    std::string converted;
    while (left > 0) {
        auto bytes =
            co_await session.stream().read_some(std::min<uint64_t>(left, 65536), async::in(session.limits().piece));
        if (bytes.empty()) throw async::ConnectionLost("closed by the peer inside a message");
        left -= bytes.size();
        if (!received.written) continue;  // the rest is read all the same, to stay in step
        converted.clear();
        endings.convert(bytes, converted);
        parser.feed(converted);
        received.size += converted.size();
        received.written = write_all(fd, converted);
    }
    received.info = parser.finish();
    co_return received;
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
    Spool spool(session.account(), co_await session.ask(proto::CreateSpool{}));
    session.take_message();
    if (literal->synchronising) {
        session.stream().write("+ go ahead\r\n");
        co_await session.flush();
    }
    auto received = co_await receive(session, literal->size, spool.fd());
    auto rest = co_await session.stream().read_line(1000, async::in(session.limits().piece));
    if (rest.end != async::LineEnd::crlf) throw FatalInput("the line after the message is too long");
    if (!rest.text.empty()) fail_bad("unexpected text after the message");
    spool.close();  // storaged takes only what nobody can change any more
    if (!received.written) fail_no("[UNAVAILABLE] no room for the message at the moment");
    proto::AppendItem item{spool.id(), received.size,        args.flags.bits,
                           {},         timestamp(args.date), ipc::encode(received.info)};
    item.keywords = args.flags.keywords;
    proto::AppendMessages request{args.mailbox, {}};
    request.items.push_back(std::move(item));
    auto appended = co_await session.ask(std::move(request), "TRYCREATE");
    spool.mark_used();
    session.touch_copied(appended.uidvalidity);
    if (appended.uids.empty()) co_return Answer{Answer::Status::ok, "appended"};
    std::string code = std::to_string(appended.uidvalidity) + ' ' + std::to_string(appended.uids.front().value);
    co_return Answer{Answer::Status::ok, "[APPENDUID " + code + "] appended"};  // RFC 4315 3
}

}  // namespace mox::imapd
