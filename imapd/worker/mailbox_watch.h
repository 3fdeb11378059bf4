// What a client with NOTIFY was told of the mailboxes of its account, and what has changed since (RFC 5465 5, 6).
//
// Pure: lists and states come in, what differs from those before comes out and is the new base. What the client itself
// did is put into the base with note_*(), so that it is not told its own changes (RFC 5465 5); what another session did
// at the same time still differs. Messages of the selected mailbox are not its business. Memory: the names and counts
// of at most kMaxWatched mailboxes and subscriptions.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "imapd/grammar/command.h"
#include "proto/account.h"

namespace mox::imapd {

constexpr size_t kMaxWatched = 5000;

class MailboxWatch {
  public:
    explicit MailboxWatch(std::vector<EventGroup> groups) : groups_(std::move(groups)) {}

    /// What decides what is told, besides the groups.
    struct Context {
        std::optional<proto::MailboxId> selected;
        bool condstore = false;
    };
    struct Status {
        proto::Mailbox mailbox;
        uint32_t items;  // StatusItem bits
    };
    struct News {
        std::map<std::string, std::string> names;  // affected names, with the old name of what was renamed
        std::vector<Status> statuses;
    };

    /// Whether there is anything to watch but the selected mailbox.
    bool needs_list() const { return !groups_.empty(); }
    /// What differs in a whole list; nothing the first time. Nothing at all when there are too many to watch.
    std::optional<News> take_list(const proto::MailboxList& list, const Context& context);
    /// What differs in some mailboxes.
    News take_mailboxes(const std::vector<proto::Mailbox>& mailboxes, const Context& context);
    /// What STATUS of NOTIFY SET tells of all that is watched (RFC 5465 3.1).
    std::vector<Status> initial_statuses(const Context& context) const;
    /// Whether messages of this mailbox are watched.
    bool watches(proto::MailboxId mailbox) const;
    /// Whether annotations of this mailbox, or with an empty name of the account, are.
    bool watches_metadata(const std::string& mailbox) const;

    void note_created(const std::vector<proto::Mailbox>& created);
    void note_deleted(const std::string& name);
    /// A mailbox of this name is made of what INBOX held, by the client itself or by another (RFC 5465 5.4).
    enum class By : uint8_t { client, another, kEnd };
    void note_inbox_renamed(const std::string& to, By by) { from_inbox_[to] = by; }
    void note_renamed(const std::string& from, const std::string& to);
    void note_subscription(const std::string& name, proto::Subscription subscription);
    void note_added(proto::MailboxId mailbox, SequenceRange uids);
    /// The client leaves this mailbox, and knows it as it was told in it.
    void note_left(const proto::Mailbox& mailbox);

  private:
    struct Known {
        proto::Mailbox mailbox;
        uint32_t events;  // that are asked for, by any of the groups
    };
    using AllKnown = std::map<uint64_t, Known>;

    uint32_t events_of(const std::string& name, bool subscribed) const;
    uint32_t events_of(const std::string& name) const { return events_of(name, subscribed_.contains(name)); }
    void compare_names(const AllKnown& before, News& news);
    void add_created(const Known& known, News& news) const;
    void compare_subscriptions(const std::set<std::string>& before, News& news) const;
    void add_affected(const std::string& name, uint32_t events, News& news) const;
    void add_status(Known& known, const proto::Mailbox& now, const Context& context, News& news) const;

    std::vector<EventGroup> groups_;  // those of mailboxes that are not selected
    bool first_ = true;
    AllKnown known_;
    std::set<std::string> subscribed_;
    std::map<std::string, By> from_inbox_;  // until the next list
};

}  // namespace mox::imapd
