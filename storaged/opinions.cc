#include <algorithm>

#include "common/text/ascii.h"
#include "storaged/mail_store.h"
#include "storaged/names.h"
#include "storaged/storage_channel.h"

// What the owner says of messages, junk or not, and what is known of their senders by that (sender_index.h).
//
// An opinion is of a content: by the flags $Junk and $NotJunk, else by whether the message was put into a mailbox for
// junk. Each change of these says it anew, whatever copies there are: the last word counts. Nothing is noted where it
// stays the same, nor for what guests do. It stays as long as the senders do when the message goes. What the words of
// the message are to be learned as goes by the flags alone (junk_words.cc).

namespace mox::storaged {
namespace {

using proto::JunkClass;
using proto::Opinion;

constexpr uint32_t kJunkFlags = proto::kJunk | proto::kNotJunk;

/// Flags that contradict each other say nothing.
JunkClass class_by(uint32_t flags) {
    if ((flags & kJunkFlags) == proto::kJunk) return JunkClass::junk;
    return (flags & kJunkFlags) == proto::kNotJunk ? JunkClass::not_junk : JunkClass::none;
}

/// Of a message with these flags in a mailbox of this use.
Opinion opinion_by(uint32_t flags, uint32_t special_use) {
    bool placed = (flags & kJunkFlags) == 0 && (special_use & proto::kJunkUse) != 0;
    if (placed || class_by(flags) == JunkClass::junk) return Opinion::junk;
    return class_by(flags) == JunkClass::not_junk ? Opinion::not_junk : Opinion::none;
}

/// All that a name may be that somebody asks for.
std::vector<SenderKey> keys_named(const std::string& who) {
    if (is_ip_address(who)) return sender_keys({{}, who, {}, {}});
    std::vector<SenderKey> keys;
    if (who.size() > proto::kMaxSenderText) return keys;
    for (uint8_t facet = 0; facet < std::to_underlying(proto::SenderFacet::kEnd); facet++)
        keys.push_back({static_cast<proto::SenderFacet>(facet), text::to_lower(who)});
    return keys;
}

}  // namespace

void MailStore::note_opinion(uint64_t content, Standing before, Standing after) {
    Opinion opinion = opinion_by(after.flags, after.special_use);
    JunkClass wanted = class_by(after.flags);
    bool same = opinion == opinion_by(before.flags, before.special_use) && wanted == class_by(before.flags);
    if (same || asker_ != nullptr) return;
    db().run(
        "INSERT INTO opinion VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET value = excluded.value, wanted ="
        " excluded.wanted",
        content, std::to_underlying(opinion), std::to_underlying(wanted));
    effects().learning_due |= wanted != class_by(before.flags);
}

void MailStore::keep_opinion(uint64_t content) {
    if (!db().query("SELECT 1 FROM opinion WHERE content = ?", content).next()) return;
    senders_.index_up_to(db(), content);
    db().run("DELETE FROM opinion WHERE content = ?1 AND NOT EXISTS (SELECT 1 FROM sender WHERE content = ?1)",
             content);
    // What is not learned by now never is.
    db().run("UPDATE opinion SET wanted = learned WHERE content = ? AND wanted != learned", content);
}

Result<proto::SenderHistories> MailStore::sender_history(const Senders& senders) {
    proto::SenderHistories histories{senders_.find(db(), sender_keys(senders))};
    std::string from = text::to_lower(senders.facts.from);
    size_t at = from.rfind('@');
    if (at == std::string::npos) return histories;
    auto written = db().query(
        "SELECT (SELECT last FROM recipient WHERE address = ?1),"
        " (SELECT max(last) FROM recipient WHERE substr(address, -length(?2)) = ?2)",
        from, from.substr(at));
    written.next();
    histories.written_to = written.integer(0);
    histories.written_to_domain = written.integer(1);
    return histories;
}

Result<proto::SenderHistories> MailStore::senders_named(const std::string& who) {
    proto::SenderHistories histories{senders_.find(db(), keys_named(who))};
    std::erase_if(histories.facets, [](const auto& history) { return history.messages == 0; });
    return histories;
}

Result<proto::KnownSenders> MailStore::known_senders(const std::string& after) {
    if (after.empty()) senders_.index_up_to(db(), INT64_MAX);
    proto::KnownSenders known;
    auto rows = db().query(
        "SELECT address, count(*), ifnull(sum(o.value = 2), 0), ifnull(sum(o.value = 1), 0), max(stored) FROM sender s"
        " LEFT JOIN opinion o ON o.content = s.content WHERE address > ? GROUP BY address ORDER BY address LIMIT ?",
        after, proto::kMaxSendersAtOnce);
    while (rows.next())
        known.senders.push_back({rows.bytes(0), rows.number(1), rows.number(2), rows.number(3), rows.integer(4)});
    return known;
}

Result<proto::SendersForgotten> MailStore::forget_senders(const std::string& who) {
    int64_t count = who.empty() ? senders_.forget_all(db()) : senders_.forget(db(), keys_named(who));
    return proto::SendersForgotten{static_cast<uint64_t>(count)};
}

async::Task<Result<proto::SenderHistories>> StorageChannel::on(proto::GetSenderHistory message) {
    if (!are_facts(message.sender)) co_return permanent(ErrorCode::bad_request, "not what is known of a sender");
    auto account = server_.accounts().find(message.account);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    server_.accounts().make_room();
    Senders senders{std::move(message.mail_from), std::move(message.remote_address), std::move(message.ehlo),
                    std::move(message.sender)};
    co_return co_await account->run(
        Access::read, [senders = std::move(senders)](MailStore& store) { return store.sender_history(senders); });
}

}  // namespace mox::storaged
