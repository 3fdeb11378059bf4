// Which mailboxes a command is about, in the words of RFC 5465 6: those of NOTIFY and of ESEARCH (RFC 7377 2.2).
//
// Pure. Names are decoded. `inboxes` means all mailboxes: mail may be delivered into any of them (RFC 5465 6.3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mox::imapd {

struct MailboxFilter {
    enum class Kind : uint8_t {
        selected,
        selected_delayed,
        inboxes,
        personal,
        subscribed,
        subtree,
        subtree_one,
        mailboxes,
        kEnd
    };
    Kind kind = Kind::selected;
    std::vector<std::string> names;  // subtree, subtree_one, mailboxes

    bool is_selected() const { return kind == Kind::selected || kind == Kind::selected_delayed; }
    friend bool operator==(const MailboxFilter&, const MailboxFilter&) = default;
};

constexpr size_t kMaxFilters = 100;       // of one command
constexpr size_t kMaxFilterNames = 1000;  // of one command

/// Whether a mailbox of this name is meant; never by what is_selected(), which goes by the session.
bool matches(const MailboxFilter& filter, std::string_view name, bool subscribed);

}  // namespace mox::imapd
