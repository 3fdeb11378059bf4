#include <ctime>

#include "common/text/ascii.h"
#include "storaged/mail_store.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

constexpr size_t kMoveChunk = 50000;  // messages held in memory when INBOX is renamed
constexpr uint32_t kAllUses =
    proto::kArchiveUse | proto::kDraftsUse | proto::kJunkUse | proto::kSentUse | proto::kTrashUse;

/// The first name behind all those below `name`: '0' follows '/'.
std::string end_of_children(std::string_view name) {
    return std::string(name) + '0';
}

}  // namespace

MailStore::MailStore(const std::string& directory, Journal& journal, Counters& counters)
    : Store(directory + "/index.db", {directory + "/msg", directory + "/stray"}, mail_upgrades(), journal, counters),
      directory_(directory),
      index_(counters.index) {}

proto::Mailbox MailStore::mailbox_from(const Query& row) {
    proto::Mailbox mailbox;
    mailbox.id.value = row.number(0);
    mailbox.name = row.bytes(1);
    mailbox.special_use = row.small(2);
    mailbox.uidvalidity = row.small(3);
    mailbox.uidnext = row.small(4);
    mailbox.highest_modseq = row.number(5);
    mailbox.messages = row.number(6);
    mailbox.unseen = row.number(7);
    mailbox.deleted = row.number(8);
    mailbox.size = row.number(9);
    mailbox.rights = rights_on(mailbox.id.value);
    return mailbox;
}

std::optional<proto::Mailbox> MailStore::find(std::string_view name) {
    auto row = db().query(
        "SELECT id, name, special_use, uidvalidity, uidnext, highest_modseq, messages, unseen, deleted, size"
        " FROM mailbox WHERE name = ?",
        name);
    if (!row.next()) return std::nullopt;
    return mailbox_from(row);
}

std::optional<proto::Mailbox> MailStore::find(proto::MailboxId id) {
    auto row = db().query(
        "SELECT id, name, special_use, uidvalidity, uidnext, highest_modseq, messages, unseen, deleted, size"
        " FROM mailbox WHERE id = ?",
        id.value);
    if (!row.next()) return std::nullopt;
    return mailbox_from(row);
}

Result<proto::MailboxList> MailStore::list() {
    proto::MailboxList list;
    auto rows = db().query(
        "SELECT id, name, special_use, uidvalidity, uidnext, highest_modseq, messages, unseen, deleted, size"
        " FROM mailbox ORDER BY name");
    while (rows.next()) {
        auto mailbox = mailbox_from(rows);
        // RFC 4314 4: without "l" it is as if there were none
        if (mailbox.rights & proto::kLookupRight) list.mailboxes.push_back(std::move(mailbox));
    }
    if (asker_ != nullptr) return list;
    auto names = db().query("SELECT name FROM subscription ORDER BY name");
    while (names.next()) list.subscribed.push_back(names.bytes(0));
    return list;
}

Result<proto::Mailboxes> MailStore::get(const std::vector<proto::MailboxId>& mailboxes) {
    if (mailboxes.size() > proto::kMaxMailboxesPerGet)
        return permanent(ErrorCode::bad_request, "too many mailboxes at once");
    proto::Mailboxes out;
    for (auto id : mailboxes)
        if (auto mailbox = find(id); mailbox && (mailbox->rights & proto::kReadRight))
            out.mailboxes.push_back(std::move(*mailbox));
    return out;
}

bool MailStore::has_children(std::string_view name) {
    auto row = db().query("SELECT 1 FROM mailbox WHERE name > ? AND name < ? LIMIT 1", std::string(name) + '/',
                          end_of_children(name));
    return row.next();
}

// Counts and bytes are bounded, so that a list of all always fits into one reply.
Result<void> MailStore::check_room_for_name(std::string_view name) {
    auto row = db().query(
        "SELECT (SELECT count(*) FROM mailbox), (SELECT count(*) FROM subscription),"
        " (SELECT ifnull(sum(length(CAST(name AS BLOB))), 0) FROM mailbox)"
        " + (SELECT ifnull(sum(length(CAST(name AS BLOB))), 0) FROM subscription)");
    row.next();
    bool full = row.number(0) >= proto::kMaxMailboxes || row.number(1) >= proto::kMaxMailboxes ||
                row.number(2) + 2 * name.size() > kMaxNameBytes;
    if (full) return permanent(ErrorCode::bad_request, "too many mailboxes");
    return {};
}

Result<proto::Mailbox> MailStore::create_one(const std::string& name, uint32_t special_use) {
    if (auto room = check_room_for_name(name); !room) return std::unexpected(room.error());
    uint64_t modseq = next_modseq();
    // RFC 6154 2: a use belongs to one mailbox at a time here; the newest has it.
    if (special_use != 0)
        db().run("UPDATE mailbox SET special_use = special_use & ~?1, highest_modseq = ?2 WHERE special_use & ?1 != 0",
                 special_use, modseq);
    db().run(
        "INSERT INTO mailbox (name, special_use, uidvalidity, uidnext, created, highest_modseq, messages, unseen, "
        "deleted, size)"
        " SELECT ?1, ?2, next_uidvalidity, 1, ?3, ?3, 0, 0, 0, 0 FROM state",
        name, special_use, modseq);
    // RFC 3501 6.3.3: never a value that was used before.
    db().run("UPDATE state SET next_uidvalidity = next_uidvalidity + 1");
    if (asker_ == nullptr) add_subscription(name);  // what a guest makes does not use up the owner's room for names
    effects().list_changed = true;
    auto created = *find(name);
    if (auto inherited = inherit_acl(created.id.value, name); !inherited) return std::unexpected(inherited.error());
    created.rights = rights_on(created.id.value);
    return created;
}

Result<std::vector<proto::Mailbox>> MailStore::create_with_parents(const std::string& name, uint32_t special_use) {
    std::vector<proto::Mailbox> created;
    std::vector<std::string> names = parents_of(name);
    names.push_back(name);
    for (const std::string& level : names) {
        if (find(level)) continue;
        auto mailbox = create_one(level, &level == &names.back() ? special_use : 0);
        if (!mailbox) return std::unexpected(mailbox.error());
        created.push_back(std::move(*mailbox));
    }
    return created;
}

Result<proto::CreatedMailboxes> MailStore::create(const std::string& name, uint32_t special_use) {
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    if ((special_use & ~kAllUses) != 0) return permanent(ErrorCode::bad_request, "unknown special use");
    // The owner's clients would put what he writes into it.
    if (special_use != 0 && asker_ != nullptr)
        return permanent(ErrorCode::denied, "only the owner gives a mailbox a special use");
    if (find(*canonical)) return permanent(ErrorCode::exists, "the mailbox exists already");
    auto created = create_with_parents(*canonical, special_use);
    if (!created) return std::unexpected(created.error());
    return proto::CreatedMailboxes{std::move(*created)};
}

// The row goes; ids and UIDVALIDITY values are never used again, so a worker that has it open learns that it is gone.
Result<proto::Done> MailStore::remove(const std::string& name) {
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    // RFC 3501 6.3.4: INBOX cannot be deleted.
    if (*canonical == "INBOX") return permanent(ErrorCode::bad_request, "INBOX cannot be deleted");
    auto mailbox = find(*canonical);
    if (!mailbox) return permanent(ErrorCode::not_found, "no such mailbox");
    // RFC 9051 6.3.5
    if (has_children(*canonical)) return permanent(ErrorCode::bad_request, "the mailbox has mailboxes below it");
    std::vector<uint64_t> contents;
    {
        auto rows = db().query("SELECT content FROM message WHERE mailbox = ?", mailbox->id.value);
        while (rows.next()) contents.push_back(rows.number(0));
    }
    db().run("DELETE FROM message WHERE mailbox = ?", mailbox->id.value);
    for (uint64_t content : contents) drop_content(content);
    db().run("UPDATE state SET used = used - ?", mailbox->size);
    db().run("DELETE FROM metadata WHERE mailbox = ?", mailbox->id.value);
    bool shared = !acl_of(mailbox->id.value).empty();
    db().run("DELETE FROM mailbox WHERE id = ?", mailbox->id.value);  // RFC 4314 4: its rights go with it
    if (shared) note_shares();
    effects().changed[mailbox->id.value] = next_modseq();
    effects().list_changed = true;
    return proto::Done{};
}

Result<proto::Done> MailStore::rename(const std::string& from, const std::string& to) {
    auto source_name = canonical_mailbox_name(from);
    if (!source_name) return std::unexpected(source_name.error());
    auto target_name = canonical_mailbox_name(to);
    if (!target_name) return std::unexpected(target_name.error());
    auto source = find(*source_name);
    if (!source) return permanent(ErrorCode::not_found, "no such mailbox");
    if (auto permitted = permit_new(*target_name); !permitted) return std::unexpected(permitted.error());
    if (asker_ != nullptr && *source_name == "INBOX")
        return permanent(ErrorCode::bad_request, "only its owner can rename INBOX");
    if (find(*target_name)) return permanent(ErrorCode::exists, "a mailbox of that name exists already");
    if (*source_name == "INBOX") return rename_inbox(*source, *target_name);
    if (auto renamed = rename_tree(*source_name, *target_name); !renamed) return std::unexpected(renamed.error());
    // Missing levels above; also the old name itself when it was moved below itself.
    for (const std::string& parent : parents_of(*target_name)) {
        if (find(parent)) continue;
        if (auto created = create_one(parent, 0); !created) return std::unexpected(created.error());
    }
    effects().list_changed = true;
    return proto::Done{};
}

// RFC 3501 6.3.5: renaming INBOX moves its messages and leaves it, and its children, in place.
Result<proto::Done> MailStore::rename_inbox(const proto::Mailbox& inbox, const std::string& to) {
    auto created = create_with_parents(to, 0);
    if (!created) return std::unexpected(created.error());
    for (;;) {
        std::vector<Row> rows = rows_in(inbox.id.value, {{1, UINT32_MAX}}, 0, kMoveChunk);
        if (rows.empty()) return proto::Done{};
        if (auto moved = move_rows(inbox, created->back(), rows); !moved) return std::unexpected(moved.error());
    }
}

Result<void> MailStore::rename_tree(const std::string& from, const std::string& to) {
    std::vector<std::pair<uint64_t, std::string>> tree;
    {
        auto rows = db().query("SELECT id, name FROM mailbox WHERE name = ?1 OR (name > ?2 AND name < ?3)", from,
                               from + '/', end_of_children(from));
        while (rows.next()) tree.emplace_back(rows.number(0), rows.bytes(1));
    }
    for (const auto& [id, name] : tree) {
        auto renamed = canonical_mailbox_name(to + name.substr(from.size()));
        if (!renamed) return std::unexpected(renamed.error());
        if (auto room = check_room_for_name(*renamed); !room) return room;
        db().run("UPDATE mailbox SET name = ? WHERE id = ?", *renamed, id);
        // RFC 3501 6.3.9: subscriptions are the client's: the new name is added, the old one stays.
        if (is_subscribed(name)) add_subscription(*renamed);
    }
    return {};
}

bool MailStore::is_subscribed(std::string_view name) {
    return db().query("SELECT 1 FROM subscription WHERE name = ?", name).next();
}

void MailStore::add_subscription(std::string_view name) {
    db().run("INSERT OR IGNORE INTO subscription (name) VALUES (?)", name);
}

Result<proto::Done> MailStore::subscribe(const std::string& name, proto::Subscription subscription) {
    auto canonical = canonical_subscription(name);
    if (!canonical) return std::unexpected(canonical.error());
    bool subscribed = is_subscribed(*canonical);
    if (subscription == proto::Subscription::subscribe && !subscribed) {
        // RFC 3501 6.3.6: the name need not exist.
        if (auto room = check_room_for_name(*canonical); !room) return std::unexpected(room.error());
        add_subscription(*canonical);
        effects().list_changed = true;
    } else if (subscription == proto::Subscription::unsubscribe && subscribed) {
        db().run("DELETE FROM subscription WHERE name = ?", *canonical);
        effects().list_changed = true;
    }
    return proto::Done{};
}

}  // namespace mox::storaged
