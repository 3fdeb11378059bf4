#include "imapd/worker/list_entries.h"

#include <utility>
#include <vector>

namespace mox::imapd {

Entries make_entries(const proto::MailboxList& list, NameForm names) {
    Entries entries;
    for (const auto& mailbox : list.mailboxes) entries[encode_mailbox_name(mailbox.name, names)].mailbox = &mailbox;
    for (const auto& name : list.subscribed) entries[encode_mailbox_name(name, names)].subscribed = true;
    std::vector<std::pair<std::string, Entry>> all(entries.begin(), entries.end());
    for (const auto& [name, entry] : all) {
        bool is_mailbox = entry.mailbox != nullptr;
        bool is_subscribed = entry.subscribed;
        for_each_parent(name, [&entries, is_mailbox, is_subscribed](const std::string& parent) {
            auto& above = entries[parent];
            above.has_children |= is_mailbox;
            above.has_subscribed_below |= is_subscribed;
        });
    }
    return entries;
}

void append_attributes(std::string& out, const Entry& entry, Absent absent, bool tells_subscribed) {
    size_t start = out.size();
    auto add = [&](std::string_view attribute) {
        if (out.size() > start) out += ' ';
        out += attribute;
    };
    // RFC 5258 3: \NonExistent implies \Noselect
    if (entry.mailbox == nullptr) add(absent == Absent::nonexistent ? "\\NonExistent" : "\\Noselect");
    if (tells_subscribed && entry.subscribed) add("\\Subscribed");
    add(entry.has_children ? "\\HasChildren" : "\\HasNoChildren");  // RFC 3348, asked or not
    if (entry.mailbox == nullptr) return;
    constexpr std::pair<uint32_t, std::string_view> kUses[] = {{proto::kArchiveUse, "\\Archive"},
                                                               {proto::kDraftsUse, "\\Drafts"},
                                                               {proto::kJunkUse, "\\Junk"},
                                                               {proto::kSentUse, "\\Sent"},
                                                               {proto::kTrashUse, "\\Trash"}};
    for (const auto& [bit, name] : kUses)
        if (entry.mailbox->special_use & bit) add(name);
}

}  // namespace mox::imapd
