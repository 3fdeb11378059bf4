// GETQUOTA, GETQUOTAROOT (RFC 9208). One root, named "", for all mailboxes of the account; those of others count for
// their owner, whose root is named as what is above all of his mailboxes. Limits are the configuration's.
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

// The root that a mailbox counts for.
std::string root_of(const std::string& mailbox) {
    auto owner = proto::owner_of(mailbox);
    return owner.empty() ? std::string() : std::string(proto::kOthers) + std::string(owner);
}

void write_quota(Session& session, const std::string& root, const proto::QuotaUse& use) {
    auto kilobytes = [](uint64_t bytes) { return std::to_string((bytes + 1023) / 1024); };  // RFC 9208 5.1
    // RFC 9208 4.2.1: a resource without limit is not listed
    std::string list;
    if (use.max_bytes > 0) list = "STORAGE " + kilobytes(use.bytes) + ' ' + kilobytes(use.max_bytes);
    std::string out = "QUOTA ";
    session.append_name(out, root);
    session.untagged(out + " (" + list + ')');
}

}  // namespace

async::Task<Answer> cmd_getquota(Session& session, const Command& command) {
    if (!std::get<QuotaArguments>(command.arguments).root.empty()) fail_no("[NONEXISTENT] no such quota root");
    write_quota(session, {}, co_await session.ask(proto::GetQuota{}));
    co_return Answer{Answer::Status::ok, "done"};
}

// RFC 9208 4.1.2: the mailbox need not exist
async::Task<Answer> cmd_getquotaroot(Session& session, const Command& command) {
    const auto& name = std::get<MailboxArguments>(command.arguments).name;
    auto root = root_of(name);
    std::string out = "QUOTAROOT ";
    session.append_name(out, name);
    out += ' ';
    session.append_name(out, root);
    auto use = co_await session.ask(proto::GetQuota{root.empty() ? std::string() : name});
    session.untagged(out);
    write_quota(session, root, use);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
