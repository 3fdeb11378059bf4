// Brings a notice to whoever sent the message: into the mailbox of the account that submitted it, or, for a message
// that came from elsewhere, into the queue.
#pragma once

#include <string>

#include "queued/attempt.h"
#include "queued/notice.h"

namespace mox::queued {

struct NoticeAddressee {
    std::string account;    // that submitted the message; empty: none here
    std::string mail_from;  // its sender
    std::string hostname;   // of this server
};

/// Durable when it succeeds. A notice of failure that the account cannot take goes to the postmaster instead.
async::Task<Result<ipc::Done>> give_notice(Peers& peers, Notice kind, NoticeAddressee to, std::string text);

}  // namespace mox::queued
