#include "imapd/worker/session.h"

#include <sys/socket.h>

#include "imapd/worker/commands.h"
#include "imapd/worker/deflate_transport.h"
#include "imapd/worker/news_teller.h"

namespace mox::imapd {
namespace {

constexpr size_t kFlushAt = 64 * 1024;  // bytes of answers collected before they are sent
constexpr size_t kMaxScratch = 64 * 1024;
constexpr int kMaxBadInRow = 100;  // commands that were no commands, before the session ends
constexpr std::chrono::seconds kLastWords{5};
constexpr std::chrono::seconds kHandBack{10};
constexpr size_t kMaxHandBack = 1 << 20;  // more than all buffers on the way hold

std::string_view to_string(Answer::Status status) {
    constexpr std::string_view kNames[] = {"OK", "NO", "BAD"};
    return kNames[static_cast<size_t>(status)];
}

// The session's socket, in front of which stands what the client sent behind its login command.
class ResumedTransport : public async::SocketTransport {
  public:
    ResumedTransport(Fd fd, std::string pending) : SocketTransport(std::move(fd)), pending_(std::move(pending)) {}
    async::IoResult read(std::span<char> into) override {
        if (pending_.empty()) return SocketTransport::read(into);
        size_t n = pending_.copy(into.data(), into.size());
        pending_.erase(0, n);
        return {async::IoResult::State::done, n};
    }

  private:
    std::string pending_;
};

}  // namespace

Session::Session(Account& account, proto::StartSession start, Counters& counters, SessionLimits limits)
    : account_(account),
      start_(std::move(start)),
      counters_(counters),
      limits_(limits),
      log_(start_.cid),
      stream_(std::make_unique<ResumedTransport>(std::move(start_.stream), std::move(start_.pending_input))) {
    account_.add(*this);
}

Session::Session(Account& account, RestedSession rested, Fd stream, Fd hand_back, Counters& counters,
                 SessionLimits limits)
    : Session(account,
              {.account = account.name(),
               .login = rested.login,
               .remote_address = rested.remote_address,
               .cid = rested.cid,
               .tls = rested.tls,
               .hostname = rested.hostname,
               .max_message_size = rested.max_message_size,
               .stream = std::move(stream),
               .hand_back = std::move(hand_back),
               .message_limit = rested.message_limit},
              counters, limits) {
    features_ = Features::of_bits(rested.features);
    bad_in_row_ = static_cast<int>(std::min<uint32_t>(rested.bad_in_row, kMaxBadInRow));
    if (rested.window) deflate(unpack_window(*rested.window).value_or(""));
    rested_ = std::move(rested);
}

Session::~Session() {
    account_.remove(*this);
}

void Session::mailbox_changed(proto::MailboxId mailbox, uint64_t highest_modseq) {
    if (notifier_) {
        notifier_->mailbox_changed(mailbox);
        news_event_.notify_all();
    }
    if (!view_ || view_->id() != mailbox || highest_modseq <= view_->modseq()) return;
    news_ = true;
    news_event_.notify_all();
}

void Session::mailbox_list_changed() {
    if (!notifier_) return;
    notifier_->list_changed();
    news_event_.notify_all();
}

void Session::metadata_changed(const std::string& mailbox, const std::vector<std::string>& names) {
    if (!notifier_) return;
    notifier_->metadata_changed(mailbox, names);
    news_event_.notify_all();
}

void Session::url_keys_reset(const std::string& mailbox) {
    if (!view_ || !(mailbox.empty() || view_->mailbox().name == mailbox)) return;
    url_keys_reset_ = true;
    news_event_.notify_all();
}

void Session::tell_url_mechanisms() {
    if (has_tls()) untagged("OK [URLMECH INTERNAL] URLs can be authorized");
}

void Session::inbox_renamed(const std::string& to) {
    if (notifier_) notifier_->watch().note_inbox_renamed(to, MailboxWatch::By::another);
}

void Session::note_renamed(const std::string& from, const std::string& to) {
    if (from == "INBOX") account_.touch_inbox_renamed(to, this);
    if (!notifier_) return;
    if (from == "INBOX")
        notifier_->watch().note_inbox_renamed(to, MailboxWatch::By::client);
    else
        notifier_->watch().note_renamed(from, to);
}

void Session::account_lost() {
    terminate("[UNAVAILABLE] the mail storage went away; connect again");
}

void Session::terminate(std::string text) {
    if (!over_.empty()) return;
    over_ = std::move(text);
    // Wakes a session that waits for the client, and lets what it writes still go out.
    ::shutdown(stream_.fd(), SHUT_RD);
    news_event_.notify_all();
}

void Session::append_name(std::string& out, std::string_view name) const {
    mail::append_astring(out, encode_mailbox_name(name, features_.names()), features_.strings());
}

void Session::untagged(std::string_view text) {
    stream_.write("* ");
    stream_.write(text);
    stream_.write("\r\n");
}

async::Task<void> Session::flush() {
    if (stream_.pending_output() == 0) co_return;
    try {
        co_await stream_.flush(async::in(limits_.write));
    } catch (const std::exception&) {
        write_broken_ = true;  // a part may have gone out: nothing can follow it
        throw async::ConnectionLost("the client does not read");
    }
}

async::Task<void> Session::flush_some() {
    if (stream_.pending_output() < kFlushAt) co_return;
    co_await flush();
    co_await async::Yield();  // the other sessions of the account have their turn
}

void Session::keep_scratch(std::string used) {
    if (used.capacity() > kMaxScratch) return;
    used.clear();
    scratch_ = std::move(used);
}

async::Task<void> Session::tell_progress(uint64_t done, uint64_t goal) {
    if (async::Clock::now() < progress_due_) co_return;
    progress_due_ = async::Clock::now() + limits_.progress;
    // RFC 9585 4: a tag that would end the response code is not told
    std::string tag = tag_.find(']') == std::string::npos ? '"' + tag_ + '"' : "NIL";
    std::string end = goal > 0 ? std::to_string(goal) : "NIL";
    untagged("OK [INPROGRESS (" + tag + ' ' + std::to_string(done) + ' ' + end + ")] still at it");
    co_await flush();
}

void Session::need_write_access() {
    if (view_->access() == Access::read_only) fail_no("[READ-ONLY] the mailbox was opened with EXAMINE");
}

void Session::select(MailboxView view) {
    view_.emplace(std::move(view));
    news_ = true;  // what happened while it was being opened was told to nobody
}

void Session::deselect() {
    if (view_ && notifier_) notifier_->mailbox_left(view_->mailbox());
    contexts_.clear();  // RFC 5267 4.3
    view_.reset();
    news_ = false;
    url_keys_reset_ = false;
}

void Session::touch_added(proto::MailboxId mailbox, SequenceRange uids) {
    if (view_ && view_->id() == mailbox) view_->expect_added(uids);
    if (notifier_) notifier_->watch().note_added(mailbox, uids);
    account_.touch(mailbox, nullptr);
}

void Session::touch_others() {
    account_.touch(view_->id(), this);
}

async::Task<Session::Refreshed> Session::refresh() {
    bool ask = std::exchange(news_, false) && view_;
    while (ask) {
        auto changes = co_await account_.call(proto::GetChanges{view_->id(), view_->modseq()});
        // It is gone, or not for this account to read any more (RFC 4314 5.1.1).
        if (!changes && (changes.error().code == ErrorCode::not_found || changes.error().code == ErrorCode::denied)) {
            view_->take_deletion();
            break;
        }
        if (!changes) {
            news_ = true;  // asked again at the next occasion
            co_return Refreshed::later;
        }
        // An answer that leads no further is not asked for again and again.
        ask = changes->more && changes->mailbox.highest_modseq > view_->modseq();
        view_->take_changes(std::move(*changes));
    }
    co_return Refreshed::done;
}

async::Task<Session::Refreshed> Session::update(Announce what) {
    Refreshed refreshed = co_await refresh();
    if (view_) {
        if (std::exchange(url_keys_reset_, false)) tell_url_mechanisms();
        std::string out;
        contexts_.tell_gone(out, *view_);
        Hearing hearing = notifier_ ? notifier_->hearing() : Hearing{};
        auto arrived = view_->announce(out, what, features_, hearing);
        stream_.write(out);
        if (co_await tell_more(std::move(arrived)) == Refreshed::later) refreshed = Refreshed::later;
    }
    if (notifier_ && !co_await notifier_->tell()) refreshed = Refreshed::later;
    co_return refreshed;
}

// What follows on the bare news: what the client wants of new messages, and what they mean for its searches (RFC 5465
// 5.2, RFC 5267 4.3).
async::Task<Session::Refreshed> Session::tell_more(Selection arrived) {
    if (!notifier_ && contexts_.empty()) co_return Refreshed::done;
    progress_due_ = async::Clock::time_point::max();  // no command is being waited for
    FetchAttributes wanted;
    if (notifier_) wanted = notifier_->attributes();
    std::vector<uint32_t> touched;
    if (!contexts_.empty()) touched = view_->take_touched();
    try {
        co_await contexts_.tell_touched(*this, touched, std::move(arrived), wanted);
        co_return Refreshed::done;
    } catch (const CommandFailed& failed) {
        log_.warn("news cannot be told as a whole", {{"reason", failed.answer.text}});
    }
    view_->touch_again(touched);
    co_return Refreshed::later;
}

// RFC 5465 3.1: also when no command is in progress
async::Task<void> Session::tell_while_waiting(async::Deadline deadline) {
    NewsTeller teller(*this, notifier_->between_commands());
    std::exception_ptr failure;
    try {
        co_await stream_.fill(deadline);
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    co_await teller.stop();
    if (failure) std::rethrow_exception(failure);
}

async::Task<void> Session::greet() {
    counters_.sessions++;
    log_.info("session begins",
              {{"account", account_.name()}, {"login", start_.login}, {"remote", start_.remote_address}});
    // The front has checked the login; its answer is written here, by who serves the session. Without a command it is
    // the greeting (RFC 3501 7.1.4).
    std::string status = start_.tag.empty() ? "* PREAUTH" : start_.tag + " OK";
    // Who was let in before saying anything must say something of IMAP first: a browser with the same certificate may
    // be made to talk to us.
    if (start_.tag.empty()) bad_in_row_ = kMaxBadInRow - 1;
    stream_.write(status + " [CAPABILITY " + capabilities(offer()) + "] logged in\r\n");
    co_await flush();
}

void Session::write_answer(std::string_view tag, const Answer& answer) {
    stream_.write(tag);
    stream_.write(" ");
    stream_.write(to_string(answer.status));
    stream_.write(" ");
    stream_.write(answer.text);
    stream_.write("\r\n");
}

async::Task<Answer> Session::answer(const Command& command) {
    const CommandRow* row = find_command(command.verb);
    if (row == nullptr) co_return Answer{Answer::Status::bad, "already logged in"};
    if (row->from == State::selected && !view_) co_return Answer{Answer::Status::bad, "no mailbox is selected"};
    if (features_.uidonly && row->takes_numbers && command.numbers == Numbers::sequence)
        co_return Answer{Answer::Status::bad, "[UIDREQUIRED] message numbers are given up"};  // RFC 9586 3
    Answer answer;
    try {
        answer = co_await row->run(*this, command);
    } catch (CommandFailed& failed) {
        answer = std::move(failed.answer);
    } catch (const SyntaxError& error) {
        answer = {Answer::Status::bad, error.text};
    }
    if (row->updates == Updates::none) co_return answer;
    // RFC 3501 5.5: UID commands name no sequence numbers, so EXPUNGE harms nothing there
    bool all = row->updates == Updates::all || command.numbers == Numbers::uid;
    Refreshed refreshed = co_await update(all ? Announce::all : Announce::no_expunge);
    add_modseq(answer, refreshed);
    co_return answer;
}

void Session::add_modseq(Answer& answer, Refreshed refreshed) {
    if (!features_.condstore || !view_) return;
    std::string code = "[HIGHESTMODSEQ " + std::to_string(view_->told_modseq()) + "] ";
    bool withheld = view_->told_modseq() < view_->modseq();
    // RFC 7162 3.2, 6: MODSEQs were told that are above those of removals which may not be told yet
    if (withheld) {
        untagged("OK " + code + "more is to come");
    } else if (answer.tells_modseq && refreshed == Refreshed::done && answer.status == Answer::Status::ok) {
        answer.text = code + answer.text;
    }
}

void Session::enable_condstore() {
    if (std::exchange(features_.condstore, true) || !view_) return;
    untagged("OK [HIGHESTMODSEQ " + std::to_string(view_->told_modseq()) + "] modseqs are told from now on");
}

void Session::take_message() {
    message_.reset();
    behind_message_ = true;
}

void Session::next_message(std::optional<MessageLiteral> message) {
    message_ = message;
    behind_message_ = false;
}

ReaderLimits Session::further_limits() const {
    return {.idle = limits_.piece, .within = limits_.piece, .write = limits_.write};
}

// What is left of an APPEND that failed. A client that waits for `+` gets the answer instead and sends no more.
async::Task<void> Session::skip_messages() {
    while (message_ || behind_message_) {
        if (message_ && message_->synchronising) break;
        if (message_) co_await skip_message(*message_);
        take_message();
        auto further = co_await read_further(stream_, further_limits());
        next_message(further.message);
    }
    next_message({});
}

// The bytes of a message that is not wanted; they are on their way when the client did not ask first.
async::Task<void> Session::skip_message(MessageLiteral literal) {
    if (literal.size > start_.max_message_size) throw FatalInput("[TOOBIG] message too large");
    uint64_t left = literal.size;
    while (left > 0) {
        auto bytes = co_await stream_.read_some(std::min<uint64_t>(left, 65536), async::in(limits_.piece));
        if (bytes.empty()) throw async::ConnectionLost("closed by the peer inside a message");
        left -= bytes.size();
    }
}

async::Task<void> Session::run_command(RawCommand raw) {
    next_message(raw.message);
    std::string tag = find_tag(raw.text);
    tag_ = tag;
    progress_due_ = async::Clock::now() + limits_.progress;
    Answer reply;
    std::string_view name = "UNKNOWN";
    try {
        Command command = parse_command(raw.text, features_.names());
        std::string().swap(raw.text);
        name = to_string(command.verb);
        reply = co_await answer(command);
        bad_in_row_ = 0;
    } catch (const SyntaxError& error) {
        reply = {Answer::Status::bad, error.text};
        bad_in_row_++;
    }
    co_await skip_messages();
    counters_.commands[{name, to_string(reply.status)}]++;
    write_answer(tag.empty() ? "*" : tag, reply);
    if (bad_in_row_ >= kMaxBadInRow) throw SessionOver("too many bad commands");
    if (handing_back_) {
        co_await hand_back();
        co_return;
    }
    if (compression_ == Compression::next) {
        co_await start_compression();
        co_return;
    }
    // Pipelined commands share their packets.
    if (find_buffered_line())
        co_await flush_some();
    else
        co_await flush();
}

async::Task<void> Session::start_compression() {
    co_await flush();
    if (!stream_.buffered().empty()) throw FatalInput("text behind COMPRESS");
    deflate({});
}

void Session::deflate(std::string_view window) {
    stream_.replace_transport(std::make_unique<DeflateTransport>(stream_.release_transport(), window));
    compression_ = Compression::on;
}

Session::HandBack Session::can_hand_back() {
    if (!start_.hand_back) return HandBack::refused;
    if (compression_ != Compression::on) return HandBack::possible;
    // RFC 8437 4.1: the client's DEFLATE ends behind the command; what came of it is for nobody.
    bool told_apart = static_cast<DeflateTransport&>(stream_.transport()).plain_rest().has_value();
    return stream_.buffered().empty() && told_apart ? HandBack::possible : HandBack::impossible;
}

// Ends like any session, but what came behind the command goes to the front, to the last byte: what it still sends here
// included, for it cannot know what was read. See proto::StartSession.
async::Task<void> Session::hand_back() {
    co_await flush();
    std::string rest;
    if (is_compressed()) {
        auto& deflate = static_cast<DeflateTransport&>(stream_.transport());
        rest = deflate.plain_rest().value_or("");
        stream_.replace_transport(deflate.release());
    }
    async::Stream front(std::make_unique<async::SocketTransport>(std::move(start_.hand_back)));
    async::Deadline deadline = async::in(kHandBack);
    front.write("U");
    co_await front.flush(deadline);
    stream_.close_write();
    for (;;) {
        auto bytes = co_await stream_.read_some(kFlushAt, deadline);
        if (bytes.empty()) break;
        rest += bytes;
        if (rest.size() > kMaxHandBack) throw async::ConnectionLost("too much behind UNAUTHENTICATE");
    }
    if (ending()) co_return;  // what was read ends anywhere: without the full stop the front closes
    front.write(rest + '.');
    co_await front.flush(deadline);
}

bool Session::find_buffered_line() const {
    return stream_.buffered().find('\n') != std::string_view::npos;
}

std::optional<async::Clock::time_point> Session::resting_since() const {
    // Commands that were answered are in no one's way; a part of one is.
    bool quiet = stream_.buffered().empty() && stream_.pending_output() == 0 && over_.empty() && !write_broken_;
    // In IDLE news are owed to the client at once; with NOTIFY and searches kept up to date there is more to remember
    // than a rest does.
    if (!resting_since_ || !quiet || (idling_ && news_) || notifier_ || !contexts_.empty()) return std::nullopt;
    return resting_since_;
}

uint64_t Session::compressed_received() {
    return is_compressed() ? static_cast<DeflateTransport&>(stream_.transport()).received() : 0;
}

std::optional<RestedSession> Session::rest() {
    if (!resting_since()) return std::nullopt;
    std::optional<std::string> window;
    if (is_compressed()) window = static_cast<DeflateTransport&>(stream_.transport()).rest();
    if (is_compressed() && !window) return std::nullopt;
    RestedSession rested{kRestVersion,
                         start_.login,
                         start_.remote_address,
                         start_.hostname,
                         start_.cid,
                         start_.max_message_size,
                         start_.message_limit,
                         start_.tls,
                         features_.to_bits(),
                         static_cast<uint32_t>(bad_in_row_),
                         std::chrono::ceil<std::chrono::milliseconds>(autologout_.time_since_epoch()),
                         idling_ ? tag_ : "",
                         std::move(window),
                         {}};
    if (!view_) return rested;
    rested.view = view_->rest();
    if (!rested.view) return std::nullopt;
    return rested;
}

Fd Session::duplicate_stream() const {
    return Fd(::dup(stream_.fd()));
}

Fd Session::duplicate_hand_back() const {
    return start_.hand_back ? Fd(::dup(start_.hand_back.get())) : Fd();
}

async::Deadline Session::patience(async::Clock::duration limit) {
    autologout_ = async::in(limit);
    auto latest = std::chrono::floor<std::chrono::milliseconds>(autologout_.time_since_epoch());
    // The time at rest counts, whatever was left says.
    if (rested_ && rested_->autologout < latest)
        autologout_ = async::Deadline(std::max(rested_->autologout, std::chrono::milliseconds(0)));
    rested_.reset();
    return autologout_;
}

async::Task<void> Session::open_again(RestedView known) {
    auto columns = co_await account_.call(proto::OpenMailbox{.name = {}, .id = known.mailbox.id});
    bool deleted =
        !columns && (columns.error().code == ErrorCode::not_found || columns.error().code == ErrorCode::denied);
    if (!columns && !deleted) throw SessionOver("[UNAVAILABLE] " + columns.error().text);
    auto view = deleted ? MailboxView::resume_deleted(std::move(known))
                        : MailboxView::resume(std::move(known), std::move(*columns));
    if (!view) throw SessionOver("[SERVERBUG] the mailbox cannot be opened again");
    select(std::move(*view));
}

// What the worker before left: the mailbox, and an IDLE that goes on.
async::Task<void> Session::go_on() {
    log_.debug("session goes on", {{"account", account_.name()}});
    if (rested_->view) co_await open_again(std::move(*rested_->view));
    if (rested_->idle_tag.empty()) co_return;
    tag_ = rested_->idle_tag;
    auto answer = co_await idle_until_done(*this);
    add_modseq(answer, co_await update(Announce::all));
    write_answer(tag_, answer);
    co_await flush();
}

// Here nothing of a command has come: this is where a session rests.
async::Task<void> Session::wait_for_client() {
    auto deadline = patience(limits_.idle);
    if (!stream_.buffered().empty()) co_return;
    if (notifier_) co_return co_await tell_while_waiting(deadline);
    Resting resting(*this);
    co_await stream_.fill(deadline);  // at the end of input, whoever reads next finds that out again
}

async::Task<void> Session::serve() {
    ReaderLimits limits{.idle = limits_.idle, .write = limits_.write};
    while (!logged_out_ && !handing_back_ && over_.empty()) {
        std::optional<RefusedInput> refused;
        try {
            co_await wait_for_client();
            RawCommand raw = co_await read_command(stream_, limits);
            co_await run_command(std::move(raw));
        } catch (RefusedInput& input) {
            refused.emplace(std::move(input));
        }
        if (!refused) continue;
        stream_.write(refused->tag + " " + refused->text + "\r\n");
        co_await flush();
    }
}

async::Task<void> Session::say_bye() {
    if (over_.empty() || write_broken_) co_return;
    try {
        untagged("BYE " + over_);
        co_await stream_.flush(async::in(kLastWords));
    } catch (const std::exception&) {
        // nobody listens any more
    }
}

async::Task<void> Session::run() {
    std::string_view reason = "logged out";
    try {
        if (rested_)
            co_await go_on();
        else
            co_await greet();
        co_await serve();
    } catch (const async::ConnectionLost& lost) {
        reason = "connection closed";
        log_.debug("connection lost", {{"reason", lost.what()}});
    } catch (const async::DeadlinePassed&) {
        reason = "idle for too long";
        if (over_.empty()) over_ = "autologout; idle for too long";  // RFC 3501 5.4
    } catch (const FatalInput& input) {
        reason = "input refused";
        if (over_.empty()) over_ = input.text;
    } catch (const SessionOver& over) {
        reason = "ended";
        if (over_.empty()) over_ = over.text;
    } catch (const std::exception& problem) {
        reason = "an internal error";
        log_.error("session fails", {{"error", problem.what()}});
        if (over_.empty()) over_ = "[SERVERBUG] an internal error";
    }
    if (!handing_back_) co_await say_bye();
    stream_.close_write();
    log_.info("session ends", {{"reason", reason}});
}

}  // namespace mox::imapd
