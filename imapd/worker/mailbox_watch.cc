#include "imapd/worker/mailbox_watch.h"

#include <algorithm>

namespace mox::imapd {
namespace {

std::string parent_of(const std::string& name) {
    auto at = name.rfind('/');
    return at == std::string::npos ? std::string() : name.substr(0, at);
}

std::string leaf_of(const std::string& name) {
    return name.substr(name.rfind('/') + 1);
}

// RFC 5465 5.1, 5.2, 5.3: what a STATUS must hold
uint32_t changed_items(const proto::Mailbox& before, const proto::Mailbox& now, uint32_t events, bool condstore) {
    bool anew = before.uidvalidity != now.uidvalidity;
    bool arrived = now.uidnext > before.uidnext;
    bool expunged = before.messages + (now.uidnext - before.uidnext) > now.messages;
    bool counts = (events & kMessageNew) != 0 && (anew || arrived || expunged);
    uint32_t items = counts ? kStatusUidValidity | kStatusUidNext | kStatusMessages : 0;
    if ((events & kFlagChange) && now.unseen != before.unseen) items |= kStatusUidValidity | kStatusUnseen;
    if ((events & kFlagChange) && condstore && now.highest_modseq > before.highest_modseq) items |= kStatusUidValidity;
    if (items != 0 && condstore) items |= kStatusHighestModSeq;
    return items;
}

}  // namespace

uint32_t MailboxWatch::events_of(const std::string& name, bool subscribed) const {
    uint32_t events = 0;
    for (const auto& group : groups_)
        if (matches(group.filter, name, subscribed)) events |= group.events;
    return events;
}

bool MailboxWatch::watches(proto::MailboxId mailbox) const {
    auto at = known_.find(mailbox.value);
    return at != known_.end() && (at->second.events & kMessageEvents) != 0;
}

bool MailboxWatch::watches_metadata(const std::string& mailbox) const {
    if (!mailbox.empty()) return (events_of(mailbox) & kMailboxMetadataChange) != 0;
    return std::ranges::any_of(groups_, [](const auto& group) { return group.events & kServerMetadataChange; });
}

std::optional<MailboxWatch::News> MailboxWatch::take_list(const proto::MailboxList& list, const Context& context) {
    if (list.mailboxes.size() + list.subscribed.size() > kMaxWatched) return std::nullopt;
    News news;
    auto subscribed = std::exchange(subscribed_, {list.subscribed.begin(), list.subscribed.end()});
    auto before = std::exchange(known_, {});
    for (const auto& mailbox : list.mailboxes) {
        Known& known = known_[mailbox.id.value];
        known = {mailbox, events_of(mailbox.name)};
        auto old = before.find(mailbox.id.value);
        if (old == before.end()) continue;
        known.mailbox = old->second.mailbox;
        add_status(known, mailbox, context, news);
        known.mailbox = mailbox;
    }
    if (std::exchange(first_, false)) return News{};
    compare_names(before, news);
    compare_subscriptions(subscribed, news);
    return news;
}

MailboxWatch::News MailboxWatch::take_mailboxes(const std::vector<proto::Mailbox>& mailboxes, const Context& context) {
    News news;
    for (const auto& mailbox : mailboxes) {
        auto known = known_.find(mailbox.id.value);
        if (known != known_.end()) add_status(known->second, mailbox, context, news);
    }
    return news;
}

void MailboxWatch::add_status(Known& known, const proto::Mailbox& now, const Context& context, News& news) const {
    // RFC 5465 3.1: the selected mailbox is SELECTED's alone; what is known of it then counts when it is left
    if (context.selected == now.id) return;
    uint32_t items = changed_items(known.mailbox, now, known.events, context.condstore);
    if (items != 0) news.statuses.push_back({now, items});
    auto name = std::move(known.mailbox.name);  // new names come with the list
    known.mailbox = now;
    known.mailbox.name = std::move(name);
}

void MailboxWatch::add_affected(const std::string& name, uint32_t events, News& news) const {
    if (events & kMailboxName) news.names.try_emplace(name);
    // RFC 5465 5.4: the direct parent is affected as well
    auto parent = parent_of(name);
    if (!parent.empty() && (events_of(parent) & kMailboxName)) news.names.try_emplace(parent);
}

void MailboxWatch::add_created(const Known& known, News& news) const {
    const auto& name = known.mailbox.name;
    auto renamed = from_inbox_.find(name);
    if (renamed == from_inbox_.end()) return add_affected(name, known.events, news);
    // INBOX itself stays, and there is nothing to say of it.
    if (renamed->second == By::another && (known.events & kMailboxName)) news.names[name] = "INBOX";
}

// RFC 5465 5.4
void MailboxWatch::compare_names(const AllKnown& before, News& news) {
    std::map<std::string, std::string> renamed;
    std::set<std::string> names_before;
    for (const auto& [id, old] : before) {
        names_before.insert(old.mailbox.name);
        auto now = known_.find(id);
        if (now == known_.end())
            add_affected(old.mailbox.name, old.events, news);
        else if (now->second.mailbox.name != old.mailbox.name)
            renamed[old.mailbox.name] = now->second.mailbox.name;
    }
    for (const auto& [from, to] : renamed) {
        auto parent = renamed.find(parent_of(from));
        bool moved_along = parent != renamed.end() && parent->second == parent_of(to) && leaf_of(from) == leaf_of(to);
        if (!moved_along && ((events_of(from) | events_of(to)) & kMailboxName)) news.names[to] = from;
    }
    for (const auto& [id, known] : known_) {
        if (before.contains(id)) continue;
        add_created(known, news);
        // RFC 5465 5.1: a mailbox made anew is another UIDVALIDITY to who knows its name
        if ((known.events & kMessageEvents) && names_before.contains(known.mailbox.name))
            news.statuses.push_back({known.mailbox, kStatusUidValidity | kStatusUidNext | kStatusMessages});
    }
    from_inbox_.clear();
}

// RFC 5465 5.5
void MailboxWatch::compare_subscriptions(const std::set<std::string>& before, News& news) const {
    std::vector<std::string> changed;
    std::ranges::set_symmetric_difference(before, subscribed_, std::back_inserter(changed));
    for (const auto& name : changed)
        if ((events_of(name, true) | events_of(name, false)) & kSubscriptionChange) news.names.try_emplace(name);
}

std::vector<MailboxWatch::Status> MailboxWatch::initial_statuses(const Context& context) const {
    std::vector<Status> out;
    for (const auto& [id, known] : known_) {
        if ((known.events & kMessageEvents) == 0 || context.selected == known.mailbox.id) continue;
        uint32_t items = kStatusMessages | kStatusUidNext | kStatusUidValidity;
        if (known.events & kFlagChange) items |= kStatusHighestModSeq | kStatusUnseen;
        out.push_back({known.mailbox, items});
    }
    std::ranges::sort(out, {}, [](const auto& status) { return status.mailbox.name; });
    return out;
}

void MailboxWatch::note_created(const std::vector<proto::Mailbox>& created) {
    for (const auto& mailbox : created) {
        subscribed_.insert(mailbox.name);  // storaged does so with every new mailbox
        known_[mailbox.id.value] = {mailbox, events_of(mailbox.name)};
    }
}

void MailboxWatch::note_deleted(const std::string& name) {
    std::erase_if(known_, [&](const auto& known) { return known.second.mailbox.name == name; });
}

void MailboxWatch::note_renamed(const std::string& from, const std::string& to) {
    for (auto& [id, known] : known_) {
        auto& name = known.mailbox.name;
        if (name != from && !name.starts_with(from + '/')) continue;
        std::string renamed = to + name.substr(from.size());
        if (subscribed_.contains(name)) subscribed_.insert(renamed);
        name = std::move(renamed);
        known.events = events_of(name);
    }
}

void MailboxWatch::note_subscription(const std::string& name, proto::Subscription subscription) {
    if (subscription == proto::Subscription::subscribe)
        subscribed_.insert(name);
    else
        subscribed_.erase(name);
}

void MailboxWatch::note_added(proto::MailboxId id, SequenceRange uids) {
    auto known = known_.find(id.value);
    // Only what follows on what is known: then nothing of another's is passed over.
    if (known == known_.end() || known->second.mailbox.uidnext != uids.first) return;
    known->second.mailbox.messages += uids.last - uids.first + 1;
    known->second.mailbox.uidnext = uids.last + 1;
}

void MailboxWatch::note_left(const proto::Mailbox& mailbox) {
    auto known = known_.find(mailbox.id.value);
    if (known == known_.end()) return;
    auto name = std::move(known->second.mailbox.name);
    known->second.mailbox = mailbox;
    known->second.mailbox.name = std::move(name);
}

}  // namespace mox::imapd
