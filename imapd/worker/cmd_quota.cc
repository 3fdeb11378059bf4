// GETQUOTA, GETQUOTAROOT (RFC 9208). One root, named "", for all mailboxes of the account; limits are the
// configuration's.
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

async::Task<void> write_quota(Session& session) {
    auto use = co_await session.ask(proto::GetQuota{});
    auto kilobytes = [](uint64_t bytes) { return std::to_string((bytes + 1023) / 1024); };  // RFC 9208 5.1
    // RFC 9208 4.2.1: a resource without limit is not listed
    std::string list;
    if (use.max_bytes > 0) list = "STORAGE " + kilobytes(use.bytes) + ' ' + kilobytes(use.max_bytes);
    session.untagged("QUOTA \"\" (" + list + ')');
}

}  // namespace

async::Task<Answer> cmd_getquota(Session& session, const Command& command) {
    if (!std::get<QuotaArguments>(command.arguments).root.empty()) fail_no("[NONEXISTENT] no such quota root");
    co_await write_quota(session);
    co_return Answer{Answer::Status::ok, "done"};
}

// RFC 9208 4.1.2: the mailbox need not exist
async::Task<Answer> cmd_getquotaroot(Session& session, const Command& command) {
    std::string out = "QUOTAROOT ";
    session.append_name(out, std::get<MailboxArguments>(command.arguments).name);
    session.untagged(out + " \"\"");
    co_await write_quota(session);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
