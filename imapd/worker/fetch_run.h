// Tells what was asked for of messages: the body of FETCH, and of NOTIFY's new messages.
//
// Three ways by what is asked: from the view alone; with the stored parses; with the files. Each message's answer goes
// to the stream as it is made, and out every 64 KiB, so memory does not depend on the messages. A message expunged
// elsewhere gives what the view has of it, or is passed over (RFC 2180 4.1.2).
#pragma once

#include "imapd/worker/session.h"

namespace mox::imapd {

/// What came of it, for the command's answer.
struct FetchOutcome {
    size_t missing = 0;             // messages that do not exist any more
    bool unknown_encoding = false;  // a part could not be decoded
    std::vector<uint32_t> damaged;  // UIDs of those that could not be read

    void add(FetchOutcome other);
};

/// Writes the answers. Gives \Seen where an attribute says so (RFC 3501 6.4.5). `wanted` outlives the task; storage
/// errors throw CommandFailed.
async::Task<FetchOutcome> fetch_messages(Session& session, Selection selection, const FetchAttributes& wanted);

}  // namespace mox::imapd
