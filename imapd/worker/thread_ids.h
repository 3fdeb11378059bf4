// The threads of messages (RFC 8474 5.2), which storaged keeps, and what of a message decides on its thread.
//
// Messages get their threads when one is asked for: then what came since the last time is caught up with, all of it, in
// the order in which it came (proto/account.h). A client that never asks costs nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/mail/message_info.h"
#include "imapd/worker/session.h"

namespace mox::imapd {

/// Pure. `stored` is when the message came, Unix seconds; its own date comes before that. Message-IDs compare without
/// case and quotes.
proto::ThreadFacts thread_facts(uint64_t content, int64_t stored, const mail::MessageInfo& info);

/// Of some messages, by their contents.
class ThreadIds {
  public:
    void add(uint64_t content, const proto::ThreadId& thread) { threads_[content] = thread; }
    /// THREADID's value: in parentheses, or NIL (RFC 8474 5.2).
    void append(std::string& out, uint64_t content) const;

  private:
    std::map<uint64_t, proto::ThreadId> threads_;
};

std::string thread_id(const proto::ThreadId& thread);
/// Nothing when there can be no such thread.
std::optional<proto::ThreadId> parse_thread_id(std::string_view text);

/// Those of these rows of the selected mailbox. None in a mailbox of another account: its owner's threads go through
/// mailboxes that are nobody else's business. Storage errors throw CommandFailed.
async::Task<ThreadIds> load_threads(Session& session, std::vector<uint32_t> indexes);
/// The contents of the thread that has this identifier, ascending.
async::Task<std::vector<uint64_t>> find_thread(Session& session, std::string id);

}  // namespace mox::imapd
