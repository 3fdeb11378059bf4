// The names of an account as LIST answers tell them: with what is known of each, by name (RFC 3501 7.2.2, RFC 5258 3).
#pragma once

#include <map>
#include <string>

#include "imapd/grammar/scanner.h"
#include "proto/account.h"

namespace mox::imapd {

/// What a name is, existing or only subscribed to, or only above such a one.
struct Entry {
    const proto::Mailbox* mailbox = nullptr;
    bool subscribed = false;
    bool has_children = false;
    bool has_subscribed_below = false;
    bool selected = false;          // by the selection options
    bool matches = false;           // a pattern
    bool has_hidden_below = false;  // something selected that no pattern matches
};
/// By name as the client writes it, so that patterns, which are written so too, are matched as they are.
using Entries = std::map<std::string, Entry>;

/// `list` outlives the entries.
Entries make_entries(const proto::MailboxList& list, NameForm names);

/// How a name without a mailbox is told: clients of before RFC 5258 know only \Noselect.
enum class Absent : uint8_t { noselect, nonexistent, kEnd };
/// Appends the attributes without their parentheses; \Subscribed only if `tells_subscribed`.
void append_attributes(std::string& out, const Entry& entry, Absent absent, bool tells_subscribed);

/// Calls `f` with each name above, the nearest first.
template <class F>
void for_each_parent(const std::string& name, F f) {
    for (size_t at = name.rfind('/'); at != std::string::npos && at > 0; at = name.rfind('/', at - 1))
        f(name.substr(0, at));
}

}  // namespace mox::imapd
