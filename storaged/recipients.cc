#include <algorithm>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "storaged/mail_store.h"

// The addresses that the account has written to: who answers is no stranger.

namespace mox::storaged {
namespace {

constexpr size_t kMaxRecipient = 320;             // bytes of an address
constexpr uint64_t kMaxKnownRecipients = 10'000;  // those written to last stay

bool is_recipient(std::string_view address) {
    auto is_bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
    size_t at = address.rfind('@');
    return address.size() <= kMaxRecipient && at != std::string_view::npos && at > 0 && at + 1 < address.size() &&
           mail::is_utf8(address) && std::ranges::none_of(address, is_bad);
}

}  // namespace

Result<proto::Done> MailStore::note_recipients(const std::vector<std::string>& addresses, int64_t when) {
    bool added = false;
    for (const std::string& address : addresses) {
        if (!is_recipient(address)) continue;
        // Case tells nobody apart in practice (RFC 5321 2.4 leaves it to the other side).
        std::string key = text::to_lower(address);
        if (db().run("UPDATE recipient SET last = max(last, ?), count = count + 1 WHERE address = ?", when, key) > 0)
            continue;
        db().run("INSERT INTO recipient VALUES (?, ?, 1)", key, when);
        added = true;
    }
    if (!added) return proto::Done{};
    uint64_t count = 0;
    {
        auto row = db().query("SELECT count(*) FROM recipient");
        if (row.next()) count = row.number(0);
    }
    if (count > kMaxKnownRecipients)
        db().run("DELETE FROM recipient WHERE address IN (SELECT address FROM recipient ORDER BY last LIMIT ?)",
                 count - kMaxKnownRecipients);
    return proto::Done{};
}

Result<proto::KnownRecipients> MailStore::recipients(const std::string& after) {
    proto::KnownRecipients known;
    auto rows = db().query("SELECT address, last, count FROM recipient WHERE address > ? ORDER BY address LIMIT ?",
                           after, proto::kMaxRecipientsAtOnce);
    while (rows.next()) known.recipients.push_back({rows.bytes(0), rows.integer(1), rows.number(2)});
    return known;
}

}  // namespace mox::storaged
