#include <fcntl.h>

#include "storaged/mail_store.h"
#include "storaged/names.h"

// Access control lists (RFC 4314): who may do what with the mailboxes of this account, and whether the one who asks
// may. Without an Asker it is the owner who asks, and nothing is looked up.
//
// An account that shares, or ever has shared, has an empty file beside its database (kSharedMark), made before the
// first row: so others can be told what is shared with them without opening the databases of all.

namespace mox::storaged {
namespace {

std::unexpected<Error> no_mailbox() {
    return permanent(ErrorCode::not_found, "no such mailbox");
}

}  // namespace

std::vector<proto::AclEntry> MailStore::acl_of(uint64_t mailbox) {
    std::vector<proto::AclEntry> entries;
    auto rows = db().query("SELECT identifier, rights FROM acl WHERE mailbox = ? ORDER BY identifier", mailbox);
    while (rows.next()) entries.push_back({rows.bytes(0), rows.small(1)});
    return entries;
}

uint32_t MailStore::rights_on(uint64_t mailbox) {
    return asker_ == nullptr ? proto::kAllRights : rights_for(acl_of(mailbox), *asker_);
}

Result<void> MailStore::permit(const proto::Mailbox& mailbox, uint32_t all_of, uint32_t any_of) {
    if ((mailbox.rights & all_of) == all_of && (any_of == 0 || (mailbox.rights & any_of) != 0)) return {};
    // RFC 4314 6: who may not list it does not learn that it exists
    if ((mailbox.rights & proto::kLookupRight) == 0) return no_mailbox();
    return permanent(ErrorCode::denied, "no right to do that with this mailbox");
}

Result<proto::Mailbox> MailStore::find_for(const std::string& name, uint32_t needed) {
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    auto mailbox = find(*canonical);
    if (!mailbox) return no_mailbox();
    if (auto permitted = permit(*mailbox, needed); !permitted) return std::unexpected(permitted.error());
    return std::move(*mailbox);
}

// RFC 4314 4: CREATE, and the new name in RENAME: "k" on the nearest mailbox that exists above
Result<void> MailStore::permit_new(const std::string& name) {
    if (asker_ == nullptr) return {};
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    auto parents = parents_of(*canonical);
    for (auto parent = parents.rbegin(); parent != parents.rend(); ++parent)
        if (auto mailbox = find(*parent)) return permit(*mailbox, proto::kCreateRight);
    return no_mailbox();  // the owner alone makes mailboxes without one above
}

Result<void> MailStore::admit(const GuestRule& rule, const NamedMailbox& named) {
    if (rule.reach == Reach::parent) return permit_new(named.name);
    std::optional<proto::Mailbox> mailbox;
    if (named.id.value != 0) {
        mailbox = find(named.id);
    } else {
        auto canonical = canonical_mailbox_name(named.name);
        if (!canonical) return std::unexpected(canonical.error());
        mailbox = find(*canonical);
    }
    if (!mailbox) return no_mailbox();
    return permit(*mailbox, rule.all_of, rule.any_of);
}

Result<proto::AclEntries> MailStore::acl(const std::string& name) {
    auto mailbox = find_for(name, proto::kAdminRight);
    if (!mailbox) return std::unexpected(mailbox.error());
    return proto::AclEntries{acl_of(mailbox->id.value)};
}

Result<proto::Rights> MailStore::my_rights(const std::string& name) {
    auto mailbox = find_for(name, 0);
    if (!mailbox) return std::unexpected(mailbox.error());
    return proto::Rights{mailbox->rights};
}

Result<proto::Done> MailStore::set_acl(const proto::SetAcl& request) {
    if ((request.rights & ~static_cast<uint32_t>(proto::kAllRights)) != 0)
        return permanent(ErrorCode::bad_request, "unknown right");
    auto mailbox = find_for(request.mailbox, proto::kAdminRight);
    if (!mailbox) return std::unexpected(mailbox.error());
    uint64_t id = mailbox->id.value;
    uint32_t rights = 0;
    {
        auto row = db().query("SELECT rights FROM acl WHERE mailbox = ? AND identifier = ?", id, request.identifier);
        if (row.next()) rights = row.small(0);
    }
    switch (request.change) {
        case proto::AclChange::add:
            rights |= request.rights;
            break;
        case proto::AclChange::remove:
            rights &= ~request.rights;
            break;
        default:
            rights = request.rights;
    }
    if (rights == 0)
        db().run("DELETE FROM acl WHERE mailbox = ? AND identifier = ?", id, request.identifier);
    else if (auto added = add_acl(id, {request.identifier, rights}); !added)
        return std::unexpected(added.error());
    note_changed(id, next_modseq(), {});  // who has it selected looks again, and finds other rights
    note_shares();
    return proto::Done{};
}

Result<void> MailStore::add_acl(uint64_t mailbox, const proto::AclEntry& entry) {
    make_mark(kSharedMark);
    db().run("INSERT OR REPLACE INTO acl VALUES (?, ?, ?)", mailbox, entry.identifier, entry.rights);
    auto all = db().query("SELECT count(*) FROM acl");
    all.next();
    if (all.number(0) > proto::kMaxAclEntries) return permanent(ErrorCode::over_quota, "too many access rights");
    return {};
}

// RFC 4314 4 CREATE: a new mailbox has the rights of the one above
Result<void> MailStore::inherit_acl(uint64_t mailbox, const std::string& name) {
    auto parents = parents_of(name);
    if (parents.empty()) return {};
    auto parent = find(parents.back());
    if (!parent) return {};
    auto entries = acl_of(parent->id.value);
    for (const auto& entry : entries)
        if (auto added = add_acl(mailbox, entry); !added) return added;
    if (!entries.empty()) note_shares();
    return {};
}

Result<proto::Done> MailStore::forget_identifier(const std::string& account) {
    db().run("DELETE FROM acl WHERE identifier = ?1 OR identifier = '-' || ?1", account);
    note_shares();
    return proto::Done{};
}

Shares MailStore::shares() {
    Shares shares;
    auto rows = db().query("SELECT mailbox, identifier, rights FROM acl");
    while (rows.next()) shares[rows.number(0)].push_back({rows.bytes(1), rows.small(2)});
    return shares;
}

void MailStore::note_shares() {
    effects().shares = std::make_shared<const Shares>(shares());
}

void MailStore::make_mark(const char* mark) {
    std::string path = directory_ + '/' + mark;
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file)
        sync_directory(directory_);
    else if (errno != EEXIST)
        fail_errno("marking the directory of an account");
}

void MailStore::restore_marks() {
    if (db().query("SELECT 1 FROM acl LIMIT 1").next()) make_mark(kSharedMark);
    if (db().query("SELECT 1 FROM client_key LIMIT 1").next()) make_mark(kClientKeysMark);
}

}  // namespace mox::storaged
