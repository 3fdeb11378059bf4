#include <algorithm>

#include "common/log/log.h"
#include "common/mail/stored_file.h"
#include "storaged/mail_store.h"
#include "storaged/names.h"

namespace mox::storaged {
namespace {

proto::MessageRow message_row(const Query& row) {
    proto::MessageRow out{};
    out.uid = row.small(0);
    out.flags = row.small(1);
    out.keywords = row.number(2);
    out.modseq = row.number(3);
    out.size = row.number(4);
    out.received = row.integer(5);
    out.received_zone = static_cast<int16_t>(row.integer(6));
    out.saved = row.small(7);
    out.content = row.number(8);
    return out;
}

// The first bytes of a message that has a file of its own; fewer when it cannot be read.
std::string read_start(const mail::StoredFile& file, size_t size) {
    std::string bytes(size, '\0');
    bytes.resize(file.read(0, bytes));
    return bytes;
}

}  // namespace

std::vector<std::string> MailStore::keywords_of(uint64_t mailbox) {
    std::vector<std::string> names;
    auto rows = db().query("SELECT bit, name FROM keyword WHERE mailbox = ? ORDER BY bit", mailbox);
    while (rows.next()) {
        names.resize(rows.number(0) + 1);
        names.back() = rows.bytes(1);
    }
    return names;
}

Result<proto::MailboxColumns> MailStore::open_mailbox(const proto::OpenMailbox& which) {
    std::optional<proto::Mailbox> mailbox;
    if (which.id.value != 0) {
        mailbox = find(which.id);
    } else {
        auto canonical = canonical_mailbox_name(which.name);
        if (!canonical) return std::unexpected(canonical.error());
        mailbox = find(*canonical);
    }
    if (!mailbox) return permanent(ErrorCode::not_found, "no such mailbox");
    proto::MailboxColumns columns{*mailbox, keywords_of(mailbox->id.value), 0, {}};
    if (mailbox->messages == 0 || use_kept(columns)) return columns;
    MemoryFile file;
    auto rows = db().query(
        "SELECT uid, flags, keywords, modseq, size, received, zone, saved, content FROM message WHERE mailbox = ? "
        "ORDER BY uid",
        mailbox->id.value);
    for (; rows.next(); columns.count++) {
        proto::MessageRow row = message_row(rows);
        file.append(&row, sizeof row);
    }
    columns.rows = file.seal();
    kept_.keep(mailbox->id, mailbox->highest_modseq, columns.count, columns.rows);
    return columns;
}

// Fills in the rows by those of the last opening and what has changed since; false when that cannot be done.
bool MailStore::use_kept(proto::MailboxColumns& columns) {
    const proto::Mailbox& mailbox = columns.mailbox;
    if (!kept_.has(mailbox.id) || kept_.modseq() > mailbox.highest_modseq) return false;
    if (kept_.modseq() == mailbox.highest_modseq) {
        columns.rows = kept_.file();
        columns.count = kept_.count();
        return true;
    }
    auto changed = changes(mailbox.id, kept_.modseq());
    if (!changed || changed->more) return false;
    Fd rows = kept_.merge(*changed, columns.count);
    if (columns.count != mailbox.messages) {
        log::error("kept columns do not agree with their mailbox", {{"mailbox", mailbox.id.value}});
        kept_.forget();
        columns.count = 0;
        return false;
    }
    kept_.keep(mailbox.id, mailbox.highest_modseq, columns.count, rows);
    columns.rows = std::move(rows);
    return true;
}

// All that happened up to a modseq, at most about kMaxChanges rows and as many ranges. An operation gives one modseq to
// at most kRowsPerModSeq rows, so a piece always holds at least one modseq whole.
Result<proto::MailboxChanges> MailStore::changes(proto::MailboxId id, uint64_t since) {
    auto mailbox = find(id);
    if (!mailbox) return permanent(ErrorCode::not_found, "the mailbox is gone");
    proto::MailboxChanges changes{*mailbox, keywords_of(id.value), {}, {}, false};
    uint64_t until = mailbox->highest_modseq;
    if (since >= until) return changes;
    auto cut = [&](Query first_too_many) {
        if (!first_too_many.next()) return;
        until = std::max(std::min(until, first_too_many.number(0) - 1), since + 1);
        changes.more = true;
    };
    cut(db().query("SELECT modseq FROM message WHERE mailbox = ? AND modseq > ? ORDER BY modseq LIMIT 1 OFFSET ?",
                   id.value, since, kMaxChanges));
    cut(db().query("SELECT modseq FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY modseq LIMIT 1 OFFSET ?",
                   id.value, since, kMaxChanges));
    if (changes.more) changes.mailbox.highest_modseq = until;
    {
        auto rows = db().query(
            "SELECT uid, flags, keywords, modseq, size, received, zone, saved, content FROM message"
            " WHERE mailbox = ? AND modseq > ? AND modseq <= ? ORDER BY modseq",
            id.value, since, until);
        while (rows.next()) changes.changed.push_back(message_row(rows));
    }
    std::ranges::sort(changes.changed, {}, &proto::MessageRow::uid);
    auto gone = db().query("SELECT first, last FROM expunged WHERE mailbox = ? AND modseq > ? AND modseq <= ?",
                           id.value, since, until);
    while (gone.next()) changes.expunged.push_back({gone.small(0), gone.small(1)});
    return changes;
}

// Those that lie close together are read by one statement, and what nobody asked for between them is passed over.
template <class Take>
void MailStore::each_wanted(const char* sql, proto::MailboxId mailbox, std::span<const proto::Uid> uids, Take take) {
    constexpr uint32_t kMaxGap = 8;
    while (!uids.empty()) {
        size_t end = 1;
        while (end < uids.size() && uids[end - 1] < uids[end] && uids[end].value - uids[end - 1].value <= kMaxGap)
            end++;
        auto rows = db().query(sql, mailbox.value, uids[0].value, uids[end - 1].value);
        for (auto run = uids.first(end); rows.next();) {
            proto::Uid uid{rows.small(0)};
            while (!run.empty() && run[0] < uid) run = run.subspan(1);
            if (run.empty() || run[0] != uid) continue;
            if (!take(uid, rows)) return;
        }
        uids = uids.subspan(end);
    }
}

Result<proto::MessageInfos> MailStore::infos(const proto::FetchInfos& wanted) {
    if (wanted.uids.size() > proto::kMaxInfosPerFetch)
        return permanent(ErrorCode::bad_request, "too many messages at once");
    if (!find(wanted.mailbox)) return permanent(ErrorCode::not_found, "the mailbox is gone");
    proto::MessageInfos infos;
    each_wanted(
        "SELECT uid, info, content.id, stored, prefix FROM message CROSS JOIN content ON content.id = message.content"
        " WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
        wanted.mailbox, wanted.uids, [&](proto::Uid uid, const Query& row) {
            std::string_view info = row.view(1);
            std::string_view prefix = wanted.prefix ? row.view(4) : std::string_view();
            if (infos.bytes.size() + info.size() + prefix.size() > kMaxReplyBytes && !infos.messages.empty())
                return false;
            auto size = [](std::string_view bytes) { return static_cast<uint32_t>(bytes.size()); };
            infos.messages.push_back(
                {uid, {row.number(2), row.integer(3)}, size(infos.bytes), size(info), size(prefix)});
            infos.bytes.append(info).append(prefix);
            return true;
        });
    return infos;
}

// What is in a pack is handed out as bytes: a descriptor would show the messages beside it. They are decompressed by
// who asked, which has a process of its own for that.
bool MailStore::read_content(proto::MessageFile& message, const ContentPlace& place, const proto::OpenMessages& wanted,
                             PackReader& packs) {
    bool beginning = wanted.parts == proto::MessageParts::beginning;
    proto::FileKind kind = place.kind_for(message.content.number);
    if (kind == proto::FileKind::pack) {
        auto bytes = packs.read(message.content.number, message.size, place);
        if (!bytes) return false;
        message.packed = place.method == pack::Method::zstd;
        if (beginning && !message.packed && bytes->size() > wanted.start) bytes->resize(wanted.start);
        message.start = std::move(*bytes);
        return true;
    }
    message.stored = kind == proto::FileKind::compressed ? place.length : 0;
    mail::StoredFile file(open_message(tree(), place.file, place.length), message.size, message.stored);
    if (!file || !file.is_whole(0, 1)) return false;
    if (wanted.start > 0) message.start = read_start(file, std::min<uint64_t>(message.size, wanted.start));
    if (!beginning && message.start.size() < message.size) message.file = file.take();
    return true;
}

Result<proto::MessageFiles> MailStore::files(const proto::OpenMessages& wanted) {
    if (wanted.uids.size() > proto::kMaxMessagesPerOpen || wanted.start > proto::kMaxMessageStart)
        return permanent(ErrorCode::bad_request, "too many messages at once");
    if (!find(wanted.mailbox)) return permanent(ErrorCode::not_found, "the mailbox is gone");
    proto::MessageFiles files;
    PackReader packs(tree());
    size_t bytes = 0;
    size_t descriptors = 0;
    each_wanted(
        "SELECT uid, content.id, file_size, prefix, info, stored, file, offset, length, method FROM message"
        " CROSS JOIN content ON content.id = message.content WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
        wanted.mailbox, wanted.uids, [&](proto::Uid uid, const Query& row) {
            if (bytes > kMaxReplyBytes || descriptors == proto::kMaxFilesPerOpen) return false;
            proto::MessageFile file{uid,           row.bytes(3), row.bytes(4),
                                    row.number(2), {},           {row.number(1), row.integer(5)}};
            ContentPlace place{row.number(6), row.number(7), row.number(8), static_cast<pack::Method>(row.small(9))};
            // A file that is lost is not the same as a message that is gone: the answer says so.
            if (!read_content(file, place, wanted, packs)) {
                files.damaged.push_back(uid);
                return true;
            }
            descriptors += static_cast<bool>(file.file);
            bytes += file.prefix.size() + file.info.size() + file.start.size();
            files.messages.push_back(std::move(file));
            return true;
        });
    return files;
}

Result<proto::StoredCredentials> MailStore::credentials() {
    auto row = db().query(
        "SELECT argon2, salt, iterations, stored_key, server_key, sha1_salt, sha1_iterations, sha1_stored_key,"
        " sha1_server_key FROM credential");
    if (!row.next()) return proto::StoredCredentials{};
    auto secrets = [&](int column) {
        return proto::ScramSecrets{
            row.bytes(column), row.small(column + 1), {row.bytes(column + 2)}, {row.bytes(column + 3)}};
    };
    return proto::StoredCredentials{proto::Credentials{row.bytes(0), secrets(1), secrets(5)}};
}

Result<proto::Done> MailStore::set_credentials(const proto::Credentials& c) {
    size_t longest = c.argon2.size();
    for (const auto* secrets : {&c.scram_sha256, &c.scram_sha1})
        longest = std::max(
            {longest, secrets->salt.size(), secrets->stored_key.value.size(), secrets->server_key.value.size()});
    if (longest > 1024) return permanent(ErrorCode::bad_request, "credentials too long");
    db().run("INSERT OR REPLACE INTO credential VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)", c.argon2,
             Blob{c.scram_sha256.salt}, c.scram_sha256.iterations, Blob{c.scram_sha256.stored_key.value},
             Blob{c.scram_sha256.server_key.value}, Blob{c.scram_sha1.salt}, c.scram_sha1.iterations,
             Blob{c.scram_sha1.stored_key.value}, Blob{c.scram_sha1.server_key.value});
    return end_web_sessions(0);
}

}  // namespace mox::storaged
