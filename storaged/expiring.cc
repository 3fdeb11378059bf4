#include <algorithm>

#include "storaged/mail_store.h"
#include "storaged/names.h"

// Retention: messages that have been in a mailbox for too long leave it, as if they had been expunged. What counts is
// when they came into the mailbox, not how old they are: a message that is moved to Trash stays there its whole time.

namespace mox::storaged {
namespace {

constexpr uint64_t kExpiredAtOnce = 1000;  // of one mailbox in one operation

}  // namespace

// UIDs ascend with the time of coming in, so the first that may stay ends it: the cost is that of what goes.
uint64_t MailStore::expire_one(const proto::Mailbox& mailbox, int64_t before, int64_t& oldest) {
    std::vector<Row> rows;
    {
        auto found = db().query(
            "SELECT uid, flags, keywords, modseq, size, content, received, zone, saved FROM message"
            " WHERE mailbox = ? ORDER BY uid LIMIT ?",
            mailbox.id.value, kExpiredAtOnce + 1);
        while (found.next()) {
            oldest = found.integer(8);
            if (oldest >= before || rows.size() == kExpiredAtOnce) break;
            rows.push_back({found.small(0), found.small(1), found.number(2), found.number(3), found.number(4),
                            found.number(5), found.integer(6), static_cast<int16_t>(found.integer(7))});
        }
    }
    if (!rows.empty()) remove_rows(mailbox.id.value, rows);
    return rows.size();
}

Result<MailStore::Expired> MailStore::expire(const std::vector<proto::ConfigureStoraged::Expiry>& expiries,
                                             int64_t now) {
    Expired expired;
    expired.next_due = INT64_MAX;
    for (const auto& expiry : expiries) {
        // Whatever comes in from now on goes no sooner.
        int64_t due = now + expiry.after;
        auto name = canonical_mailbox_name(expiry.mailbox);
        auto mailbox = name ? find(*name) : std::nullopt;
        if (mailbox) {
            int64_t oldest = now;
            uint64_t count = expire_one(*mailbox, now - expiry.after, oldest);
            expired.messages += count;
            expired.more |= count == kExpiredAtOnce;
            if (oldest >= now - expiry.after) due = std::min(due, oldest + expiry.after);
        }
        expired.next_due = std::min(expired.next_due, due);
    }
    return expired;
}

}  // namespace mox::storaged
