// GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 3). Whether they may is for storaged to say.
#include "common/mail/rights.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

static_assert(proto::kLookupRight == 1 && proto::kAdminRight == 1 << 10, "as mail::parse_rights has them");

// As an astring.
std::string letters(uint32_t rights) {
    return rights == 0 ? "\"\"" : mail::rights_letters(rights);
}

[[noreturn]] void fail_acl(const Error& error) {
    if (error.code == ErrorCode::over_quota) fail_no("[LIMIT] too many access rights");
    if (error.code == ErrorCode::exists) fail_no("[CANNOT] " + error.text);  // the owner's rights stay as they are
    fail_storage(error, "NONEXISTENT");
}

}  // namespace

async::Task<Answer> cmd_getacl(Session& session, const Command& command) {
    const auto& name = std::get<MailboxArguments>(command.arguments).name;
    auto acl = co_await session.ask(proto::GetAcl{name});
    std::string out = "ACL ";
    session.append_name(out, name);
    auto add = [&](const std::string& identifier, uint32_t rights) {
        out += ' ';
        mail::append_astring(out, identifier, session.features().strings());
        out += ' ' + letters(rights);
    };
    auto owner = proto::owner_of(name);
    add(owner.empty() ? session.account().name() : std::string(owner), proto::kAllRights);
    for (const auto& entry : acl.entries) add(entry.identifier, entry.rights);
    session.untagged(out);
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_setacl(Session& session, const Command& command) {
    const auto& args = std::get<AclArguments>(command.arguments);
    // RFC 4314 3.2: DELETEACL leaves no rights
    auto set = co_await session.account().call(proto::SetAcl{args.mailbox, args.identifier, args.change, args.rights});
    if (!set) fail_acl(set.error());
    session.expect_news();
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_listrights(Session& session, const Command& command) {
    const auto& args = std::get<AclArguments>(command.arguments);
    auto fixed = co_await session.ask(proto::GetFixedRights{args.mailbox, args.identifier});
    std::string out = "LISTRIGHTS ";
    session.append_name(out, args.mailbox);
    out += ' ';
    mail::append_astring(out, args.identifier, session.features().strings());
    // RFC 4314 3.7: what it has in any case; then what it can be given, here each right by itself
    out += ' ' + letters(fixed.rights);
    if (fixed.rights == 0) out += " l r s w i p k x t e c d a";
    session.untagged(out);
    co_return Answer{Answer::Status::ok, "done"};
}

void write_my_rights(Session& session, const std::string& mailbox, uint32_t rights) {
    std::string out = "MYRIGHTS ";
    session.append_name(out, mailbox);
    session.untagged(out + ' ' + letters(rights));
}

async::Task<Answer> cmd_myrights(Session& session, const Command& command) {
    const auto& name = std::get<MailboxArguments>(command.arguments).name;
    auto mine = co_await session.ask(proto::GetMyRights{name});
    write_my_rights(session, name, mine.rights);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
