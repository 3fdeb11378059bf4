#include "imapd/worker/notifier.h"

#include "imapd/worker/commands.h"
#include "imapd/worker/list_entries.h"
#include "imapd/worker/session.h"

namespace mox::imapd {
namespace {

EventGroup selected_group(const std::vector<EventGroup>& groups) {
    for (const auto& group : groups)
        if (group.filter.is_selected()) return group;
    return {};
}

std::vector<EventGroup> other_groups(const std::vector<EventGroup>& groups) {
    std::vector<EventGroup> out;
    for (const auto& group : groups)
        if (!group.filter.is_selected() && group.events != 0) out.push_back(group);
    return out;
}

}  // namespace

Notifier::Notifier(Session& session, const std::vector<EventGroup>& groups)
    : session_(session), selected_(selected_group(groups)), watch_(other_groups(groups)) {}

Hearing Notifier::hearing() const {
    // RFC 5465 3.1: without SELECTED as with SELECTED NONE
    return {(selected_.events & kMessageNew) != 0, (selected_.events & kMessageExpunge) != 0,
            (selected_.events & kFlagChange) != 0};
}

Announce Notifier::between_commands() const {
    return selected_.filter.kind == MailboxFilter::Kind::selected_delayed ? Announce::no_expunge : Announce::all;
}

MailboxWatch::Context Notifier::context() const {
    MailboxWatch::Context context{{}, session_.features().condstore};
    if (session_.selected()) context.selected = session_.view().id();
    return context;
}

void Notifier::mailbox_changed(proto::MailboxId mailbox) {
    if (context().selected != mailbox && watch_.watches(mailbox)) changed_.insert(mailbox.value);
}

void Notifier::mailbox_left(const proto::Mailbox& as_told) {
    watch_.note_left(as_told);
    if (watch_.watches(as_told.id)) changed_.insert(as_told.id.value);
}

void Notifier::list_changed() {
    list_changed_ = watch_.needs_list();
}

void Notifier::metadata_changed(const std::string& mailbox, const std::vector<std::string>& names) {
    if (!watch_.watches_metadata(mailbox)) return;
    for (const auto& name : names) pending_annotations_ += metadata_[mailbox].insert(name).second;
    overflown_ = pending_annotations_ > kMaxPendingAnnotations;
    if (overflown_) metadata_.clear();
}

// RFC 5465 5.8
void Notifier::overflow() {
    session_.untagged("OK [NOTIFICATIONOVERFLOW] too much to tell: nothing is told any more");
    selected_ = {};
    watch_ = MailboxWatch({});
    changed_.clear();
    metadata_.clear();
    list_changed_ = overflown_ = false;
}

async::Task<bool> Notifier::tell() {
    if (overflown_) overflow();
    tell_metadata();
    if (list_changed_ && !co_await tell_list()) co_return false;
    co_return co_await tell_changed();
}

// RFC 5465 5.6, 5.7, RFC 5464 4.4.2: the names alone
void Notifier::tell_metadata() {
    for (const auto& [mailbox, names] : std::exchange(metadata_, {})) {
        std::string out = "METADATA ";
        session_.append_name(out, mailbox);
        for (const auto& name : names) {
            out += ' ';
            mail::append_astring(out, name);
        }
        session_.untagged(out);
    }
    pending_annotations_ = 0;
}

async::Task<bool> Notifier::tell_list() {
    list_changed_ = false;
    auto list = co_await session_.account().call(proto::ListMailboxes{});
    list_changed_ |= !list.has_value();
    if (!list) co_return false;
    auto news = watch_.take_list(*list, context());
    if (!news) {
        overflow();
        co_return true;
    }
    co_await write_names(*list, news->names);
    co_await write_statuses(std::move(news->statuses));
    co_return true;
}

async::Task<bool> Notifier::tell_changed() {
    while (!changed_.empty()) {
        proto::GetMailboxes request;
        while (!changed_.empty() && request.mailboxes.size() < proto::kMaxMailboxesPerGet)
            request.mailboxes.push_back({changed_.extract(changed_.begin()).value()});
        auto asked = request.mailboxes;
        auto found = co_await session_.account().call(std::move(request));
        if (!found) {
            for (auto mailbox : asked) changed_.insert(mailbox.value);
            co_return false;
        }
        co_await write_statuses(watch_.take_mailboxes(found->mailboxes, context()).statuses);
    }
    co_return true;
}

async::Task<void> Notifier::write_names(const proto::MailboxList& list,
                                        const std::map<std::string, std::string>& names) {
    auto form = session_.features().names();
    auto entries = make_entries(list, form);
    for (const auto& [name, old_name] : names) {
        std::string out = "LIST (";
        append_attributes(out, entries[encode_mailbox_name(name, form)], Absent::nonexistent, true);
        out += ") \"/\" ";
        session_.append_name(out, name);
        if (!old_name.empty()) {  // RFC 5465 5.4
            out += " (\"OLDNAME\" (";
            session_.append_name(out, old_name);
            out += "))";
        }
        session_.untagged(out);
        co_await session_.flush_some();
    }
}

async::Task<void> Notifier::write_statuses(std::vector<MailboxWatch::Status> statuses) {
    for (const auto& status : statuses) {
        co_await write_status(session_, status.mailbox, status.items);
        co_await session_.flush_some();
    }
}

}  // namespace mox::imapd
