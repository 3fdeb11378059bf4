#include "storaged/mail_store.h"
#include "storaged/names.h"

// What only a store needs that is put back from a backup.

namespace mox::storaged {

uint64_t MailStore::next_uidvalidity() {
    auto row = db().query("SELECT next_uidvalidity FROM state");
    return row.next() ? row.number(0) : 0;
}

// RFC 3501 2.3.1.1: greater than any value that was used before.
void MailStore::renew_uidvalidity(uint64_t above) {
    uint64_t next = std::max(next_uidvalidity(), above);
    std::vector<uint64_t> ids;
    {
        auto rows = db().query("SELECT id FROM mailbox ORDER BY id");
        while (rows.next()) ids.push_back(rows.number(0));
    }
    // All are given out anew, above all that are in use: none is there twice in between.
    for (uint64_t id : ids) db().run("UPDATE mailbox SET uidvalidity = ? WHERE id = ?", next++, id);
    db().run("UPDATE state SET next_uidvalidity = ?", next);
}

Result<proto::StagedMessages> MailStore::list_messages(const std::string& name, uint32_t after) {
    auto canonical = canonical_mailbox_name(name);
    if (!canonical) return std::unexpected(canonical.error());
    auto mailbox = find(*canonical);
    if (!mailbox) return permanent(ErrorCode::not_found, "no such mailbox in the backup");
    std::vector<std::string> keywords = keywords_of(mailbox->id.value);
    proto::StagedMessages found;
    size_t bytes = 0;
    auto rows = db().query(
        "SELECT uid, content.id, file_size, prefix, flags, keywords, received, zone, file, offset, length, method FROM "
        "message"
        " JOIN content ON content.id = message.content WHERE mailbox = ? AND uid > ? ORDER BY uid LIMIT ?",
        mailbox->id.value, after, proto::kMaxInfosPerFetch);
    while (rows.next() && bytes < kMaxReplyBytes) {
        proto::StagedMessage m{rows.small(0), rows.number(1), rows.number(2), rows.bytes(3), rows.small(4), {}, {}};
        ContentPlace place{rows.number(8), rows.number(9), rows.number(10), static_cast<pack::Method>(rows.small(11))};
        m.place = {place.kind_for(m.content), place.file, place.offset, place.length};
        for (size_t bit = 0; bit < keywords.size(); bit++)
            if ((rows.number(5) >> bit & 1) != 0) m.keywords.push_back(keywords[bit]);
        m.received = {rows.integer(6), static_cast<int16_t>(rows.integer(7))};
        bytes += m.prefix.size();
        for (const std::string& keyword : m.keywords) bytes += keyword.size();
        found.messages.push_back(std::move(m));
    }
    return found;
}

}  // namespace mox::storaged
