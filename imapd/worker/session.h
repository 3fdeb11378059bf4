// One IMAP session after its login: reads commands, runs them one after the other, tells what other sessions did.
//
// The session owns its stream and its view of the selected mailbox; the commands (cmd_*.h) work on it through the
// functions here. Whatever they throw ends the command (NO, BAD) or the session (BYE) in one place: run(). News of the
// mailbox come as a mark only; they are fetched and told where RFC 3501 5.2, 7.4.1 allow: at the end of commands and
// during IDLE; and at any time, of any mailbox, where the client asked for it with NOTIFY (RFC 5465).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/async/stream.h"
#include "common/log/log.h"
#include "imapd/grammar/capabilities.h"
#include "imapd/grammar/command.h"
#include "imapd/grammar/command_reader.h"
#include "imapd/worker/account.h"
#include "imapd/worker/features.h"
#include "imapd/worker/notifier.h"
#include "imapd/worker/rest.h"
#include "imapd/worker/search_context.h"
#include "imapd/worker/view.h"
#include "proto/supervise.h"

namespace mox::imapd {

/// The end of a command's answer: `OK [UIDNEXT 5] done`.
struct Answer {
    enum class Status : uint8_t { ok, no, bad, kEnd };
    Status status = Status::ok;
    std::string text;
    bool tells_modseq = false;  // HIGHESTMODSEQ, once all news are told (RFC 7162 3.2.7)
};

/// Thrown by a command: its answer is this.
struct CommandFailed : std::exception {
    explicit CommandFailed(Answer a) : answer(std::move(a)) {}
    const char* what() const noexcept override { return answer.text.c_str(); }
    Answer answer;
};
[[noreturn]] void fail_no(std::string text);
[[noreturn]] void fail_bad(std::string text);
/// The answer for a storage error; `not_found_code` stands in for NONEXISTENT (RFC 5530 3, RFC 3501 7.1 TRYCREATE).
[[noreturn]] void fail_storage(const Error& error, std::string_view not_found_code);

/// The session is over: the client is told `* BYE` and the text.
struct SessionOver : std::exception {
    explicit SessionOver(std::string what) : text(std::move(what)) {}
    const char* what() const noexcept override { return text.c_str(); }
    std::string text;
};

/// Counts for the metrics of all sessions of a worker.
struct Counters {
    std::map<std::pair<std::string_view, std::string_view>, uint64_t> commands;  // by name and result
    uint64_t sessions = 0;
};

constexpr size_t kNoLimit = SIZE_MAX;

/// Times and sizes a session keeps to; the tests have shorter ones.
struct SessionLimits {
    async::Clock::duration idle = std::chrono::minutes(30);  // RFC 3501 5.4: at least 30 minutes
    async::Clock::duration idle_command = std::chrono::minutes(30);
    async::Clock::duration write = std::chrono::minutes(5);
    async::Clock::duration piece = std::chrono::minutes(2);      // between pieces of a message being appended
    size_t copied = proto::kMaxMessagesPerCopy;                  // messages, by one COPY or MOVE
    async::Clock::duration progress = std::chrono::seconds(10);  // between words on how far a long command is
};

class Session : private AccountObserver {
  public:
    /// `account` and `counters` outlive the session.
    Session(Account& account, proto::StartSession start, Counters& counters, SessionLimits limits = {});
    /// Goes on where one rested, with its descriptors.
    Session(Account& account, RestedSession rested, Fd stream, Fd hand_back, Counters& counters,
            SessionLimits limits = {});
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Greets with the answer to the login and serves until the client leaves; throws nothing.
    async::Task<void> run();
    /// Ends the session soon with `* BYE` and this text, also while it waits for the client.
    void terminate(std::string text);

    // ---- at rest: while it waits for its client, owes it nothing, and has nothing of a command

    /// Since when it has been; nothing when it is not at rest.
    std::optional<async::Clock::time_point> resting_since() const;
    /// What another worker needs to go on from here; nothing when that would not be all, or be too much.
    std::optional<RestedSession> rest();
    Fd duplicate_stream() const;
    /// Not valid where UNAUTHENTICATE is not offered.
    Fd duplicate_hand_back() const;

    // ---- for the commands

    /// For as long as it lives the session is at rest.
    class Resting {
      public:
        explicit Resting(Session& session) : session_(session) { session.resting_since_ = async::Clock::now(); }
        ~Resting() { session_.resting_since_.reset(); }
        Resting(const Resting&) = delete;
        Resting& operator=(const Resting&) = delete;

      private:
        Session& session_;
    };
    /// How long to wait for the client here; less than `limit` right after a rest.
    async::Deadline patience(async::Clock::duration limit);

    async::Stream& stream() { return stream_; }
    /// An empty string with the memory of the one that was kept last: for many answers one after the other.
    std::string take_scratch() { return std::exchange(scratch_, {}); }
    void keep_scratch(std::string used);
    Account& account() { return account_; }
    const log::Logger& log() const { return log_; }
    const SessionLimits& limits() const { return limits_; }
    uint64_t max_message_size() const { return start_.max_message_size; }
    /// How many messages one command works on (RFC 9738 3); kNoLimit: as many as there are.
    size_t message_limit() const { return start_.message_limit == 0 ? kNoLimit : start_.message_limit; }
    Offer offer() const { return {start_.max_message_size, start_.message_limit, reuse()}; }
    bool has_tls() const { return start_.tls == proto::ImapSessionTls::tls; }
    /// Tells how URLs can be authorized, where that cannot be listened to (RFC 4467 8 URLMECH).
    void tell_url_mechanisms();
    const Features& features() const { return features_; }
    void set_features(const Features& features) { features_ = features; }
    /// A command spoke of modseqs: from now on answers do (RFC 7162 3.1).
    void enable_condstore();
    /// A mailbox name as this client writes it, as an `astring`.
    void append_name(std::string& out, std::string_view name) const;
    /// `text` is a whole untagged answer without `* ` and CRLF.
    void untagged(std::string_view text);
    /// Sends what has been collected once it is more than a few packets.
    async::Task<void> flush_some();
    async::Task<void> flush();

    /// Tells a client that waits long how far the command is: `done` of `goal` messages (RFC 9585), 0: not known.
    async::Task<void> tell_progress(uint64_t done, uint64_t goal);

    /// Asks storaged; an error ends the command.
    template <class M>
    async::Task<typename M::Reply> ask(M message, std::string_view not_found_code = "NONEXISTENT") {
        auto reply = co_await account_.call(std::move(message));
        if (!reply) fail_storage(reply.error(), not_found_code);
        co_return std::move(*reply);
    }

    bool selected() const { return view_.has_value(); }
    /// The selected mailbox; the dispatcher sees to it that there is one.
    MailboxView& view() { return *view_; }
    const MailboxView& view() const { return *view_; }
    /// Answers NO unless the mailbox was opened with SELECT.
    void need_write_access();
    void select(MailboxView view);
    void deselect();
    /// The literal of the APPEND being run that comes next in the stream. Whoever takes it reads its bytes and then
    /// says with next_message() what came behind them; until then, and for literals that nobody takes, the session
    /// reads what the client sends and drops it.
    const std::optional<MessageLiteral>& message() const { return message_; }
    void take_message();
    void next_message(std::optional<MessageLiteral> message);
    /// For what stands behind a message.
    ReaderLimits further_limits() const;
    /// This session changed the selected mailbox: other sessions look.
    void touch_others();
    /// This session put messages into the mailbox: those who have it selected look, this one too.
    void touch_added(proto::MailboxId mailbox, SequenceRange uids);

    /// This session set annotations: other sessions are told.
    void touch_metadata(const std::string& mailbox, const std::vector<std::string>& names) {
        account_.touch_metadata(mailbox, names, this);
    }

    /// This session voided the authorized URLs of a mailbox, or with an empty name of all.
    void touch_url_keys(const std::string& mailbox) { account_.touch_url_keys(mailbox, this); }

    /// This session renamed a mailbox.
    void note_renamed(const std::string& from, const std::string& to);

    /// Whether all news were fetched, or storaged did not answer and has to be asked again.
    enum class Refreshed : uint8_t { done, later };
    /// Fetches the news of the selected mailbox, if there may be any, and writes those that may be told now.
    async::Task<Refreshed> update(Announce what);
    /// An IDLE begins or ends.
    void set_idling(bool idling) { idling_ = idling; }
    bool news_expected() const { return news_ || url_keys_reset_ || (notifier_ != nullptr && notifier_->has_news()); }
    void expect_news() { news_ = true; }
    /// After a change by this session: where modseqs are told, all up to that of the change must be known.
    void expect_own_news() { news_ = news_ || features_.condstore; }
    async::Notify& news() { return news_event_; }
    /// What the client wants to hear from now on (RFC 5465 3.1); nullptr: as without NOTIFY.
    void set_notifier(std::unique_ptr<Notifier> notifier) { notifier_ = std::move(notifier); }
    /// Searches of the selected mailbox that are kept up to date.
    SearchContexts& contexts() { return contexts_; }
    /// For changes by this session that its client is not told; nothing without NOTIFY.
    MailboxWatch* watch() { return notifier_ ? &notifier_->watch() : nullptr; }
    bool ending() const { return !over_.empty(); }
    void end(std::string text) { over_ = std::move(text); }
    bool is_compressed() const { return compression_ == Compression::on; }
    /// Compressed bytes that came: more of them may have changed nothing else yet.
    uint64_t compressed_received();
    /// What follows the answer to the present command is compressed, both ways.
    void compress_after_answer() { compression_ = Compression::next; }
    /// Whether the client's stream can go back to the front: it wants it, and all that came can be given along.
    enum class HandBack : uint8_t { refused, possible, impossible };
    HandBack can_hand_back();
    Reuse reuse() const { return start_.hand_back ? Reuse::allowed : Reuse::refused; }
    /// Ends after the present command, and the client is the front's again (RFC 8437).
    void hand_back_after_answer() { handing_back_ = true; }
    /// Ends after the present command without a BYE of its own (LOGOUT has sent it).
    void log_out() { logged_out_ = true; }

  private:
    void mailbox_changed(proto::MailboxId mailbox, uint64_t highest_modseq) override;
    void mailbox_list_changed() override;
    void metadata_changed(const std::string& mailbox, const std::vector<std::string>& names) override;
    void url_keys_reset(const std::string& mailbox) override;
    void inbox_renamed(const std::string& to) override;
    void account_lost() override;
    async::Task<Refreshed> refresh();
    async::Task<Refreshed> tell_more(Selection arrived);
    async::Task<void> tell_while_waiting(async::Deadline deadline);
    async::Task<void> greet();
    async::Task<void> go_on();
    async::Task<void> open_again(RestedView known);
    async::Task<void> wait_for_client();
    async::Task<void> serve();
    async::Task<void> run_command(RawCommand raw);
    async::Task<Answer> answer(const Command& command);
    async::Task<void> skip_messages();
    async::Task<void> skip_message(MessageLiteral literal);
    void write_answer(std::string_view tag, const Answer& answer);
    void add_modseq(Answer& answer, Refreshed refreshed);
    bool find_buffered_line() const;
    async::Task<void> start_compression();
    void deflate(std::string_view window);
    async::Task<void> hand_back();
    async::Task<void> say_bye();

    Account& account_;
    proto::StartSession start_;
    Counters& counters_;
    SessionLimits limits_;
    log::Logger log_;
    async::Stream stream_;
    std::string scratch_;
    Features features_;
    std::optional<RestedSession> rested_;  // what it goes on from
    std::optional<async::Clock::time_point> resting_since_;
    async::Deadline autologout_ = async::kNever;  // of the present wait for the client
    bool idling_ = false;                         // in IDLE
    std::string tag_;                             // of the present command
    async::Clock::time_point progress_due_ = {};  // when a word on it is due
    std::optional<MailboxView> view_;
    std::optional<MessageLiteral> message_;
    bool behind_message_ = false;  // the rest of an APPEND is still to be read
    bool news_ = false;
    bool url_keys_reset_ = false;  // those of the selected mailbox, which the client is to hear
    async::Notify news_event_;
    std::unique_ptr<Notifier> notifier_;
    SearchContexts contexts_;
    std::string over_;
    enum class Compression : uint8_t { off, next, on };
    Compression compression_ = Compression::off;
    bool logged_out_ = false;
    bool handing_back_ = false;
    bool write_broken_ = false;
    int bad_in_row_ = 0;
};

}  // namespace mox::imapd
