#include <ctime>
#include <utility>

#include "storaged/mail_store.h"
#include "storaged/names.h"

// New messages: their content gets a place, and they get their rows, in one operation.

namespace mox::storaged {
namespace {

constexpr int64_t kMarkLifetime = 30 * 24 * 3600;  // far longer than any queue entry is retried

}  // namespace

uint64_t MailStore::next_modseq() {
    uint64_t modseq = 0;
    {
        auto row = db().query("SELECT next_modseq FROM state");
        if (row.next()) modseq = row.number(0);
    }
    db().run("UPDATE state SET next_modseq = next_modseq + 1 WHERE id = 1");
    return modseq;
}

uint64_t MailStore::ModSeqs::for_row() {
    if (rows_++ % kRowsPerModSeq == 0) value_ = store_.next_modseq();
    return value_;
}

void MailStore::Delta::add(uint32_t flags, uint64_t bytes, int64_t sign) {
    messages += sign;
    if ((flags & proto::kSeen) == 0) unseen += sign;
    if ((flags & proto::kDeleted) != 0) deleted += sign;
    size += sign * static_cast<int64_t>(bytes);
}

void MailStore::note_changed(uint64_t mailbox, uint64_t modseq, const Delta& delta) {
    db().run(
        "UPDATE mailbox SET highest_modseq = max(highest_modseq, ?), messages = messages + ?, unseen = unseen + ?,"
        " deleted = deleted + ?, size = size + ? WHERE id = ?",
        modseq, delta.messages, delta.unseen, delta.deleted, delta.size, mailbox);
    if (delta.size != 0) db().run("UPDATE state SET used = used + ? WHERE id = 1", delta.size);
    uint64_t& known = effects().changed[mailbox];
    known = std::max(known, modseq);
}

// The use of the whole is exact but for what other accounts add at this moment.
void MailStore::note_use() {
    uint64_t used = 0;
    {
        auto row = db().query("SELECT used FROM state");
        if (row.next()) used = row.number(0);
    }
    counters().used += used - counted_use_;
    counted_use_ = used;
}

void MailStore::forget_rows() noexcept {
    kept_.forget();
    packs_.forget();
}

void MailStore::forget_use() {
    counters().used -= std::exchange(counted_use_, 0);
}

bool MailStore::over_quota(uint64_t more) {
    uint64_t quota = quota_;
    uint64_t whole = counters().quota;
    if (quota == 0 && whole == 0) return false;
    uint64_t used = 0;
    {
        auto row = db().query("SELECT used FROM state");
        if (row.next()) used = row.number(0);
    }
    if (quota != 0 && used + more > quota) return true;
    // What others use, as of their last commits, and this one now.
    return whole != 0 && counters().used - counted_use_ + used + more > whole;
}

Result<uint64_t> MailStore::keyword_bits(uint64_t mailbox, const std::vector<std::string>& names, bool create) {
    uint64_t bits = 0;
    for (const std::string& name : names) {
        if (!is_keyword(name)) return permanent(ErrorCode::bad_request, "not a keyword");
        auto row = db().query("SELECT bit FROM keyword WHERE mailbox = ? AND name = ?", mailbox, name);
        if (row.next()) {
            bits |= uint64_t{1} << row.number(0);
            continue;
        }
        if (!create) continue;
        auto next = db().query("SELECT count(*) FROM keyword WHERE mailbox = ?", mailbox);
        next.next();
        uint64_t bit = next.number(0);
        if (bit >= proto::kMaxKeywords)
            return permanent(ErrorCode::bad_request, "too many different keywords in the mailbox");
        db().run("INSERT INTO keyword (mailbox, bit, name) VALUES (?, ?, ?)", mailbox, bit, name);
        bits |= uint64_t{1} << bit;
    }
    return bits;
}

// RFC 3501 2.3.1.1: strictly ascending; the last value is never given out.
Result<uint32_t> MailStore::take_uids(uint64_t mailbox, size_t count) {
    uint64_t first = 0;
    {
        auto row = db().query("SELECT uidnext FROM mailbox WHERE id = ?", mailbox);
        if (row.next()) first = row.number(0);
    }
    if (first == 0 || first + count > UINT32_MAX)
        return permanent(ErrorCode::internal, "the mailbox has used up its numbers");
    db().run("UPDATE mailbox SET uidnext = uidnext + ? WHERE id = ?", count, mailbox);
    return static_cast<uint32_t>(first);
}

void MailStore::insert_row(uint64_t mailbox, uint32_t uid, uint64_t modseq, const Row& row) {
    db().run("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", mailbox, uid, modseq, modseq, row.flags,
             row.keywords, row.size, row.received, row.zone, std::time(nullptr), row.content);
}

uint64_t MailStore::add_content(const proto::Mailbox& mailbox, const NewMessage& message) {
    Content& content = *message.content;
    uint64_t number = 0;
    ContentPlace place;
    if (content.fits_journal()) {
        number = take_number();
        Content::Packed packed = content.packed(counters().compression);
        place = packs_.add(number, content.size(), packed.method, packed.stored);
        counters().packed += content.size();
        counters().packed_as += packed.stored.size();
    } else {
        number = place_file(content.path(), content.file());
        place = {number, 0, content.size()};
        if (counters().compression == proto::Compression::on) note_compressible(number);
    }
    std::string sender = message.sender;
    if (!sender.empty() && (mailbox.special_use & proto::kJunkUse) != 0) mark_filed_as_junk(sender);
    db().run("INSERT INTO content VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", number, place.file, place.offset,
             place.length, static_cast<int>(place.method), content.size(), std::time(nullptr), message.mail_from,
             message.remote_address, message.ehlo, Blob{message.prefix}, Blob{*message.info}, Blob{sender});
    senders_.note_added();
    return number;
}

Result<uint32_t> MailStore::add_message(const proto::Mailbox& mailbox, const NewMessage& message, uint64_t modseq) {
    static const std::vector<std::string> kNone;
    bool may_write = (mailbox.rights & proto::kWriteRight) != 0;  // else no keyword is made for it either
    auto keywords = keyword_bits(mailbox.id.value, may_write ? message.keywords : kNone, true);
    if (!keywords) return std::unexpected(keywords.error());
    auto uid = take_uids(mailbox.id.value, 1);
    if (!uid) return uid;
    uint64_t content = add_content(mailbox, message);
    index_.add(db(), content, message.words);
    effects().index_due |= index_.is_due(db()) || senders_.is_due(db());
    Row row;
    row.flags = message.flags & proto::kAllFlags;
    row.keywords = *keywords;
    drop_flags(mailbox, row.flags, row.keywords);
    row.size = message.prefix.size() + message.content->size();
    row.content = content;
    row.received = message.received.unix_seconds;
    row.zone = message.received.zone_minutes;
    insert_row(mailbox.id.value, *uid, modseq, row);
    note_opinion(content, {}, {row.flags, 0});
    // What a guest puts there the owner has not sent.
    if ((mailbox.special_use & proto::kSentUse) != 0 && asker_ == nullptr && !message.recipients.empty()) {
        auto noted = note_recipients(message.recipients, message.received.unix_seconds);
        if (!noted) return std::unexpected(noted.error());
    }
    Delta delta;
    delta.add(row.flags, row.size, 1);
    note_changed(mailbox.id.value, modseq, delta);
    return uid;
}

Result<bool> MailStore::deliver(const std::string& name, const NewMessage& message, std::optional<QueueMark> mark) {
    auto canonical = canonical_mailbox_name(name.empty() ? "INBOX" : name);
    if (!canonical) return std::unexpected(canonical.error());
    if (mark) {
        if (db().query("SELECT 1 FROM delivered WHERE queue = ? AND entry = ?", mark->queue, mark->entry).next())
            return false;
        int64_t now = std::time(nullptr);
        db().run("DELETE FROM delivered WHERE time < ?", now - kMarkLifetime);
        db().run("INSERT INTO delivered VALUES (?, ?, ?)", mark->queue, mark->entry, now);
    }
    if (over_quota(message.prefix.size() + message.content->size()))
        return temporary(ErrorCode::over_quota, "the mailbox is full");
    auto mailbox = find(*canonical);
    if (!mailbox) {
        auto created = create_with_parents(*canonical, 0);
        if (!created) return std::unexpected(created.error());
        mailbox = created->back();
    }
    auto uid = add_message(*mailbox, message, next_modseq());
    if (!uid) return std::unexpected(uid.error());
    return true;
}

Result<proto::MessagesAppended> MailStore::append(const std::string& name, const std::vector<NewMessage>& messages,
                                                  std::optional<proto::ReplacedMessage> replaced) {
    auto mailbox = find_for(name, proto::kInsertRight);
    if (!mailbox) return std::unexpected(mailbox.error());
    // RFC 8508 3.4: the one that goes makes room for the one that comes, so it goes first
    if (replaced) {
        auto source = find(replaced->mailbox);
        if (!source) return permanent(ErrorCode::bad_request, "the message to be replaced is gone");
        // RFC 8508 4.1: as for STORE and EXPUNGE
        if (auto permitted = permit(*source, kRemoveRights); !permitted) return std::unexpected(permitted.error());
        auto rows = rows_in(replaced->mailbox.value, {{replaced->uid.value, replaced->uid.value}}, 0, 1);
        if (rows.empty()) return permanent(ErrorCode::bad_request, "the message to be replaced is gone");
        remove_rows(replaced->mailbox.value, {rows.front()});
    }
    uint64_t bytes = 0;
    for (const NewMessage& message : messages) bytes += message.prefix.size() + message.content->size();
    if (over_quota(bytes)) return permanent(ErrorCode::over_quota, "the mailbox is full");
    proto::MessagesAppended appended{mailbox->uidvalidity, {}, mailbox->id};
    ModSeqs modseqs(*this);
    for (const NewMessage& message : messages) {
        auto uid = add_message(*mailbox, message, modseqs.for_row());
        if (!uid) return std::unexpected(uid.error());
        appended.uids.push_back({*uid});
    }
    return appended;
}

bool MailStore::row_has_file(uint64_t file) {
    return db()
        .query(
            "SELECT 1 FROM content WHERE id = ?1 AND file = ?1 UNION ALL SELECT 1 FROM pack WHERE id = ?1"
            " UNION ALL SELECT 1 FROM compressed WHERE file = ?1",
            file)
        .next();
}

}  // namespace mox::storaged
