#include "common/text/ascii.h"
#include "storaged/mail_store.h"
#include "storaged/names.h"

// Annotations of mailboxes and of the account (RFC 5464), and how much the account holds. Names and values are the
// clients'; all of an account are bounded, so that one reply always holds those of a mailbox.

namespace mox::storaged {
namespace {

std::unexpected<Error> too_many() {
    return permanent(ErrorCode::over_quota, "too many annotations");
}

bool is_entry_name(std::string_view name) {
    return name.size() > 1 && name.size() <= proto::kMaxMetadataName && name.front() == '/' && text::is_ascii(name) &&
           text::to_lower(std::string(name)) == name;
}

}  // namespace

Result<proto::QuotaUse> MailStore::quota() {
    auto row = db().query("SELECT used, (SELECT ifnull(sum(messages), 0) FROM mailbox) FROM state");
    row.next();
    return proto::QuotaUse{row.number(0), quota_, row.number(1)};
}

// The mailbox of that name; none for the account itself.
Result<std::optional<proto::Mailbox>> MailStore::find_annotated(const std::string& name) {
    if (name.empty()) return std::nullopt;
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    auto mailbox = find(*canonical);
    if (!mailbox) return permanent(ErrorCode::not_found, "no such mailbox");
    return mailbox;
}

Result<proto::MetadataEntries> MailStore::metadata(const std::string& name) {
    auto mailbox = find_annotated(name);
    if (!mailbox) return std::unexpected(mailbox.error());
    proto::MetadataEntries out;
    auto rows = db().query("SELECT name, value FROM metadata WHERE mailbox = ? ORDER BY name",
                           *mailbox ? (*mailbox)->id.value : 0);
    while (rows.next()) out.entries.push_back({rows.bytes(0), rows.bytes(1)});
    return out;
}

Result<proto::Done> MailStore::set_metadata(const std::string& name, const std::vector<proto::MetadataEntry>& entries) {
    auto mailbox = find_annotated(name);
    if (!mailbox) return std::unexpected(mailbox.error());
    uint64_t id = *mailbox ? (*mailbox)->id.value : 0;
    for (const auto& entry : entries) {
        // What is private is the owner's (RFC 5464 4.3 NOPRIVATE).
        if (asker_ != nullptr && !entry.name.starts_with("/shared/"))
            return permanent(ErrorCode::denied, "private annotations are for the owner");
        if (!is_entry_name(entry.name)) return permanent(ErrorCode::bad_request, "not a name of an annotation");
        if (!entry.value) {
            db().run("DELETE FROM metadata WHERE mailbox = ? AND name = ?", id, entry.name);
            continue;
        }
        if (entry.value->size() > proto::kMaxMetadataValue) return too_many();
        db().run("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)", id, entry.name, Blob{*entry.value});
    }
    auto all = db().query("SELECT count(*), ifnull(sum(length(name) + length(value)), 0) FROM metadata");
    all.next();
    if (all.number(0) > proto::kMaxMetadataEntries || all.number(1) > proto::kMaxMetadataBytes) return too_many();
    if (*mailbox) note_changed(id, next_modseq(), {});  // RFC 7162 3.2
    return proto::Done{};
}

}  // namespace mox::storaged
