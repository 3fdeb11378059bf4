// What one session tells its client unasked since NOTIFY (RFC 5465).
//
// Marks come in from the account at any time and cost nothing; tell() asks storaged what they stand for and writes it.
// It runs at the end of commands, in IDLE and, while no command is under way, beside the wait for the next one. Marks
// are sets, so a client that does not read makes nothing grow. What NOTIFY asks for of the selected mailbox is
// hearing(): the session's view does that.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/async/task.h"
#include "imapd/worker/mailbox_watch.h"
#include "imapd/worker/view.h"

namespace mox::imapd {

class Session;

constexpr size_t kMaxPendingAnnotations = 1000;  // names of changed annotations not told yet

class Notifier {
  public:
    /// No groups: NOTIFY NONE. `session` outlives this.
    Notifier(Session& session, const std::vector<EventGroup>& groups);

    Hearing hearing() const;
    /// What of the selected mailbox may be told while no command is under way (RFC 5465 6.1).
    Announce between_commands() const;
    /// Of new messages in the selected mailbox; nothing when empty.
    const FetchAttributes& attributes() const { return selected_.attributes; }
    MailboxWatch& watch() { return watch_; }
    MailboxWatch::Context context() const;

    void mailbox_changed(proto::MailboxId mailbox);
    /// The same of a mailbox that the client leaves.
    void mailbox_left(const proto::Mailbox& as_told);
    void list_changed();
    void metadata_changed(const std::string& mailbox, const std::vector<std::string>& names);
    bool has_news() const { return list_changed_ || overflown_ || !changed_.empty() || !metadata_.empty(); }

    /// Writes the news; false when storaged did not answer and has to be asked again.
    async::Task<bool> tell();

  private:
    async::Task<bool> tell_list();
    async::Task<bool> tell_changed();
    void tell_metadata();
    async::Task<void> write_names(const proto::MailboxList& list, const std::map<std::string, std::string>& names);
    async::Task<void> write_statuses(std::vector<MailboxWatch::Status> statuses);
    void overflow();

    Session& session_;
    EventGroup selected_;  // without events when SELECTED was not named
    MailboxWatch watch_;
    std::set<uint64_t> changed_;  // mailboxes
    bool list_changed_ = false;
    bool overflown_ = false;
    std::map<std::string, std::set<std::string>> metadata_;  // by mailbox
    size_t pending_annotations_ = 0;
};

}  // namespace mox::imapd
