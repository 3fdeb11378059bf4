#include "imapd/grammar/mailbox_filter.h"

#include <algorithm>

#include "proto/account.h"

namespace mox::imapd {
namespace {

bool is_below(std::string_view name, std::string_view top) {
    return name.size() > top.size() + 1 && name.starts_with(top) && name[top.size()] == '/';
}

bool matches_name(MailboxFilter::Kind kind, std::string_view wanted, std::string_view name) {
    if (name == wanted) return true;
    if (kind == MailboxFilter::Kind::mailboxes || !is_below(name, wanted)) return false;
    return kind == MailboxFilter::Kind::subtree || name.find('/', wanted.size() + 1) == std::string_view::npos;
}

}  // namespace

bool matches(const MailboxFilter& filter, std::string_view name, bool subscribed) {
    using Kind = MailboxFilter::Kind;
    switch (filter.kind) {
        case Kind::inboxes:
        case Kind::personal:
            return !name.starts_with(proto::kOthers);  // RFC 5465 6.2, 6.3
        case Kind::subscribed:
            return subscribed;
        case Kind::subtree:
        case Kind::subtree_one:
        case Kind::mailboxes:
            return std::ranges::any_of(filter.names,
                                       [&](const auto& wanted) { return matches_name(filter.kind, wanted, name); });
        default:
            return false;
    }
}

}  // namespace mox::imapd
