#include <algorithm>

#include "storaged/mail_store.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

/// Ascending and disjoint, so that no message is met twice.
std::vector<proto::UidRange> normalized(std::vector<proto::UidRange> ranges) {
    std::erase_if(ranges, [](const proto::UidRange& r) { return r.first > r.last; });
    std::ranges::sort(ranges, {}, &proto::UidRange::first);
    std::vector<proto::UidRange> merged;
    for (const proto::UidRange& range : ranges) {
        if (!merged.empty() && range.first <= merged.back().last)
            merged.back().last = std::max(merged.back().last, range.last);
        else
            merged.push_back(range);
    }
    return merged;
}

void append_uid(std::vector<proto::UidRange>& ranges, uint32_t uid) {
    if (!ranges.empty() && ranges.back().last + 1 == uid)
        ranges.back().last = uid;
    else
        ranges.push_back({uid, uid});
}

std::unexpected<Error> too_many() {
    return permanent(ErrorCode::bad_request, "too many messages at once");
}

std::unexpected<Error> mailbox_gone() {
    return permanent(ErrorCode::not_found, "the mailbox is gone");
}

}  // namespace

std::vector<MailStore::Row> MailStore::rows_in(uint64_t mailbox, const std::vector<proto::UidRange>& uids,
                                               uint32_t with_flags, size_t limit) {
    std::vector<Row> found;
    for (const proto::UidRange& range : normalized(uids)) {
        auto rows = db().query(
            "SELECT uid, flags, keywords, modseq, size, content, received, zone, saved FROM message"
            " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND flags & ?4 = ?4 ORDER BY uid LIMIT ?5",
            mailbox, range.first, range.last, with_flags,
            static_cast<int64_t>(std::min<size_t>(limit - found.size(), INT64_MAX)));
        while (rows.next())
            found.push_back({rows.small(0), rows.small(1), rows.number(2), rows.number(3), rows.number(4),
                             rows.number(5), rows.integer(6), static_cast<int16_t>(rows.integer(7)), rows.small(8)});
        if (found.size() >= limit) break;
    }
    return found;
}

uint32_t MailStore::changeable(const proto::Mailbox& mailbox) {
    uint32_t flags = 0;
    if (mailbox.rights & proto::kSeenRight) flags |= proto::kSeen;
    if (mailbox.rights & proto::kDeleteMessageRight) flags |= proto::kDeleted;
    if (mailbox.rights & proto::kWriteRight) flags |= proto::kAllFlags & ~(proto::kSeen | proto::kDeleted);
    return flags;
}

// RFC 4314 4: what may not be changed stays, and only a request that may change nothing fails
Result<void> MailStore::keep_permitted(const proto::Mailbox& mailbox, proto::StoreFlags& request) {
    if (mailbox.rights == proto::kAllRights) return {};
    uint32_t may = changeable(mailbox);
    bool keywords = (mailbox.rights & proto::kWriteRight) != 0;
    bool all = request.mode == proto::StoreMode::replace && request.flags == 0 && request.keywords.empty();
    if ((request.flags & may) == 0 && (request.keywords.empty() || !keywords) && (!all || may == 0))
        return permanent(ErrorCode::denied, "no right to change these flags");
    request.flags &= may;
    if (!keywords) request.keywords.clear();
    return {};
}

Result<proto::FlagsStored> MailStore::store_flags(proto::StoreFlags request) {
    if ((request.flags & ~static_cast<uint32_t>(proto::kAllFlags)) != 0)
        return permanent(ErrorCode::bad_request, "unknown flag");
    uint64_t mailbox = request.mailbox.value;
    auto found = find(request.mailbox);
    if (!found) return mailbox_gone();
    if (auto kept = keep_permitted(*found, request); !kept) return std::unexpected(kept.error());
    const uint32_t may = changeable(*found);
    const bool may_write = (found->rights & proto::kWriteRight) != 0;
    auto bits = keyword_bits(mailbox, request.keywords, request.mode != proto::StoreMode::remove);
    if (!bits) return std::unexpected(bits.error());
    std::vector<Row> rows = rows_in(mailbox, request.uids, 0, proto::kMaxMessagesPerStore + 1);
    if (rows.size() > proto::kMaxMessagesPerStore) return too_many();
    proto::FlagsStored stored;
    ModSeqs modseqs(*this);
    Delta delta;
    for (Row& row : rows) {
        Row before = row;
        // RFC 7162 3.1.3: changed since, so left alone and named.
        if (request.unchanged_since && row.modseq > *request.unchanged_since) {
            stored.unchanged_since_failed.push_back({row.uid});
        } else if (request.mode == proto::StoreMode::replace) {
            row.flags = (row.flags & ~may) | request.flags;
            if (may_write) row.keywords = *bits;
        } else if (request.mode == proto::StoreMode::add) {
            row.flags |= request.flags;
            row.keywords |= *bits;
        } else {
            row.flags &= ~request.flags;
            row.keywords &= ~*bits;
        }
        // RFC 7162 3.1: what does not change keeps its modseq.
        if (row.flags != before.flags || row.keywords != before.keywords) {
            row.modseq = modseqs.for_row();
            db().run("UPDATE message SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid = ?", row.flags,
                     row.keywords, row.modseq, mailbox, row.uid);
            delta.add(before.flags, 0, -1);
            delta.add(row.flags, 0, 1);
            note_opinion(row.content, {before.flags, found->special_use}, {row.flags, found->special_use});
        }
        stored.rows.push_back({row.uid, row.flags, row.keywords, row.modseq, row.size, row.received, row.zone, 0,
                               row.saved, row.content});
    }
    if (modseqs.last() != 0) note_changed(mailbox, modseqs.last(), delta);
    stored.keywords = keywords_of(mailbox);
    return stored;
}

// RFC 4314 4: a new message has those flags that whoever puts it there may set
void MailStore::drop_flags(const proto::Mailbox& mailbox, uint32_t& flags, uint64_t& keywords) {
    flags &= changeable(mailbox);
    if ((mailbox.rights & proto::kWriteRight) == 0) keywords = 0;
}

Result<uint64_t> MailStore::translate_keywords(uint64_t bits, const std::vector<std::string>& names,
                                               uint64_t destination) {
    std::vector<std::string> used;
    for (size_t bit = 0; bit < names.size(); bit++)
        if ((bits >> bit & 1) != 0 && !names[bit].empty()) used.push_back(names[bit]);
    return keyword_bits(destination, used, true);
}

Result<std::vector<MailStore::Row>> MailStore::rows_to_copy(uint64_t mailbox,
                                                            const std::vector<proto::UidRange>& uids) {
    std::vector<Row> rows = rows_in(mailbox, uids, 0, proto::kMaxMessagesPerCopy + 1);
    if (rows.size() > proto::kMaxMessagesPerCopy) return too_many();
    return rows;
}

Result<proto::MessagesCopied> MailStore::copy(const proto::CopyMessages& request) {
    auto source = find(request.mailbox);
    if (!source) return mailbox_gone();
    auto destination = find_for(request.destination, proto::kInsertRight);
    if (!destination) return std::unexpected(destination.error());
    auto rows = rows_to_copy(request.mailbox.value, request.uids);
    if (!rows) return std::unexpected(rows.error());
    uint64_t bytes = 0;
    for (const Row& row : *rows) bytes += row.size;
    if (over_quota(bytes)) return permanent(ErrorCode::over_quota, "the mailbox is full");
    proto::MessagesCopied copied{destination->uidvalidity, {}, destination->id};
    if (rows->empty()) return copied;
    auto first = take_uids(destination->id.value, rows->size());
    if (!first) return std::unexpected(first.error());
    std::vector<std::string> names = keywords_of(request.mailbox.value);
    ModSeqs modseqs(*this);
    Delta delta;
    for (Row& row : *rows) {
        Standing before{row.flags, source->special_use};
        drop_flags(*destination, row.flags, row.keywords);
        auto keywords = translate_keywords(row.keywords, names, destination->id.value);
        if (!keywords) return std::unexpected(keywords.error());
        row.keywords = *keywords;
        uint32_t uid = *first + static_cast<uint32_t>(copied.uids.size());
        insert_row(destination->id.value, uid, modseqs.for_row(), row);
        db().run("UPDATE content SET copies = copies + 1 WHERE id = ?", row.content);
        note_opinion(row.content, before, {row.flags, destination->special_use});
        delta.add(row.flags, row.size, 1);
        copied.uids.push_back({row.uid, uid});
    }
    note_changed(destination->id.value, modseqs.last(), delta);
    return copied;
}

Result<proto::MessagesCopied> MailStore::move(const proto::MoveMessages& request) {
    auto source = find(request.mailbox);
    if (!source) return mailbox_gone();
    auto destination = find_for(request.destination, proto::kInsertRight);
    if (!destination) return std::unexpected(destination.error());
    auto rows = rows_to_copy(source->id.value, request.uids);
    if (!rows) return std::unexpected(rows.error());
    return move_rows(*source, *destination, *rows);
}

// No file is touched: rows leave one mailbox and come into the other in one transaction (RFC 6851 3.3).
Result<proto::MessagesCopied> MailStore::move_rows(const proto::Mailbox& source, const proto::Mailbox& destination,
                                                   const std::vector<Row>& rows) {
    proto::MessagesCopied moved{destination.uidvalidity, {}, destination.id};
    if (rows.empty()) return moved;
    auto first = take_uids(destination.id.value, rows.size());
    if (!first) return std::unexpected(first.error());
    std::vector<std::string> names = keywords_of(source.id.value);
    std::vector<std::pair<uint32_t, uint64_t>> gone;
    ModSeqs modseqs(*this);
    Delta out;
    Delta in;
    for (Row row : rows) {
        Row before = row;
        drop_flags(destination, row.flags, row.keywords);
        auto keywords = translate_keywords(row.keywords, names, destination.id.value);
        if (!keywords) return std::unexpected(keywords.error());
        row.keywords = *keywords;
        uint64_t modseq = modseqs.for_row();
        uint32_t uid = *first + static_cast<uint32_t>(moved.uids.size());
        db().run("DELETE FROM message WHERE mailbox = ? AND uid = ?", source.id.value, row.uid);
        insert_row(destination.id.value, uid, modseq, row);
        note_opinion(row.content, {before.flags, source.special_use}, {row.flags, destination.special_use});
        gone.emplace_back(row.uid, modseq);
        out.add(before.flags, row.size, -1);
        in.add(row.flags, row.size, 1);
        moved.uids.push_back({row.uid, uid});
    }
    add_tombstones(source.id.value, gone);
    note_changed(source.id.value, modseqs.last(), out);
    note_changed(destination.id.value, modseqs.last(), in);
    return moved;
}

Result<proto::MessagesExpunged> MailStore::expunge(const proto::Expunge& request) {
    auto mailbox = find(request.mailbox);
    if (!mailbox) return mailbox_gone();
    uint64_t id = mailbox->id.value;
    std::vector<Row> rows = rows_in(id, request.uids, proto::kDeleted, proto::kMaxMessagesPerCopy);
    proto::MessagesExpunged expunged{{}, mailbox->highest_modseq};
    if (rows.empty()) return expunged;
    for (const Row& row : rows) append_uid(expunged.uids, row.uid);
    expunged.highest_modseq = remove_rows(id, rows);
    return expunged;
}

uint64_t MailStore::remove_rows(uint64_t mailbox, const std::vector<Row>& rows) {
    std::vector<std::pair<uint32_t, uint64_t>> gone;
    ModSeqs modseqs(*this);
    Delta delta;
    for (const Row& row : rows) {
        db().run("DELETE FROM message WHERE mailbox = ? AND uid = ?", mailbox, row.uid);
        drop_content(row.content);
        gone.emplace_back(row.uid, modseqs.for_row());
        delta.add(row.flags, row.size, -1);
    }
    add_tombstones(mailbox, gone);
    note_changed(mailbox, modseqs.last(), delta);
    return modseqs.last();
}

void MailStore::add_tombstones(uint64_t mailbox, const std::vector<std::pair<uint32_t, uint64_t>>& uids) {
    for (size_t i = 0; i < uids.size();) {
        size_t end = i + 1;
        while (end < uids.size() && uids[end].first == uids[end - 1].first + 1 && uids[end].second == uids[i].second)
            end++;
        db().run("INSERT INTO expunged VALUES (?, ?, ?, ?)", mailbox, uids[i].second, uids[i].first,
                 uids[end - 1].first);
        i = end;
    }
}

// The last row is gone: a file of its own is erased once that is durable, a pack is rewritten when little of it is
// left.
void MailStore::drop_content(uint64_t content) {
    uint64_t copies = 0;
    ContentPlace place;
    {
        auto row = db().query("SELECT copies, file, offset, length, method FROM content WHERE id = ?", content);
        if (!row.next()) return;
        copies = row.number(0);
        place = {row.number(1), row.number(2), row.number(3), static_cast<pack::Method>(row.small(4))};
    }
    if (copies > 1) {
        db().run("UPDATE content SET copies = copies - 1 WHERE id = ?", content);
        return;
    }
    keep_opinion(content);
    db().run("DELETE FROM content WHERE id = ?", content);
    index_.remove(db(), content);
    leave_thread(content);
    if (place.kind_for(content) == proto::FileKind::pack)
        packs_.drop(place);
    else
        drop_file(content, place);
}

}  // namespace mox::storaged
