// What one session knows of its selected mailbox: the messages in the order of their sequence numbers, and what has
// happened since that the client has not been told.
//
// Pure: changes come in with take_changes() (from GetChanges) and what the session itself did with take_stored() and
// take_expunged(); announce() writes what the client may hear now and only then moves the sequence numbers. Invariant:
// rows are ascending by UID, and are exactly the messages that the untagged answers so far told of. RFC
// 3501 2.3.1.2, 5.2, 7.4.1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "imapd/grammar/command.h"
#include "imapd/worker/features.h"
#include "imapd/worker/rest.h"
#include "proto/account.h"

namespace mox::imapd {

/// Indexes [begin, end) of rows.
struct IndexRange {
    uint32_t begin;
    uint32_t end;

    uint32_t size() const { return end - begin; }
    friend bool operator==(const IndexRange&, const IndexRange&) = default;
};
using Selection = std::vector<IndexRange>;
size_t count(const Selection& selection);

/// Whether EXPUNGE may be told now (RFC 3501 7.4.1: not while FETCH, STORE and SEARCH by sequence number are under
/// way).
enum class Announce : uint8_t { all, no_expunge, kEnd };

/// What the client wants to hear of other sessions' changes: all, unless NOTIFY says otherwise (RFC 5465 3.1).
struct Hearing {
    bool arrived = true;
    bool expunged = true;
    bool flags = true;
};

/// EXAMINE or SELECT.
enum class Access : uint8_t { read_only, read_write, kEnd };

class MailboxView {
  public:
    /// Takes the columns of a mailbox; error internal when the memory file is not sealed or does not hold what it
    /// should.
    static Result<MailboxView> load(proto::MailboxColumns columns, Access access);

    /// Goes on where a session rested, by what parse_rested() took: the rows are those that the client knows, and what
    /// has become of them since, by the columns of now, waits to be announced.
    static Result<MailboxView> resume(RestedView known, proto::MailboxColumns columns);
    /// The same when the mailbox is gone.
    static Result<MailboxView> resume_deleted(RestedView known);
    /// What the client knows; nothing when that is more than is kept of a session at rest.
    std::optional<RestedView> rest() const;

    proto::MailboxId id() const { return mailbox_.id; }
    const proto::Mailbox& mailbox() const { return mailbox_; }
    Access access() const { return access_; }
    /// Whether who has selected it has one of these rights (proto::Right).
    bool may(uint32_t rights) const { return (mailbox_.rights & rights) != 0; }
    /// Up to which changes have been taken.
    uint64_t modseq() const { return mailbox_.highest_modseq; }
    /// Up to which changes the client has been told all: what HIGHESTMODSEQ may say (RFC 7162 3.2, 6).
    uint64_t told_modseq() const { return told_modseq_; }
    std::span<const proto::MessageRow> rows() const { return rows_; }
    const std::vector<std::string>& keywords() const { return keywords_; }
    std::optional<uint32_t> find(uint32_t uid) const;
    /// Expunged, but not yet told; and all of them, ascending.
    bool is_gone(uint32_t uid) const;
    std::span<const uint32_t> gone() const { return gone_; }
    /// The rows that are new or whose flags changed since this was last asked, ascending. The first time, and until it
    /// is asked, nothing is noted.
    std::vector<uint32_t> take_touched();
    /// These rows were not looked at.
    void touch_again(const std::vector<uint32_t>& indexes);

    /// The rows that a set names. Sequence numbers beyond the mailbox throw SyntaxError (RFC 3501 9 seq-number), UIDs
    /// that do not exist are left out (RFC 3501 6.4.8).
    Selection select(const SequenceSet& set, Numbers numbers) const;
    /// The same as ascending UID ranges; `$` is what was saved.
    std::vector<SequenceRange> uids_of(const SequenceSet& set, Numbers numbers) const;
    /// The same for keys of SEARCH, where a message number beyond the mailbox is no error (RFC 7377 2).
    std::vector<SequenceRange> uids_for_search(const SequenceSet& set, Numbers numbers) const;
    /// What `$` means from now on (RFC 5182 2.1); what is expunged leaves it by itself.
    void save(const std::vector<uint32_t>& indexes);
    /// The UIDs of a selection, as few ranges as the rows allow.
    std::vector<proto::UidRange> uid_ranges(const Selection& selection) const;

    void take_changes(proto::MailboxChanges changes);
    /// The mailbox itself is gone: all its messages are.
    void take_deletion();
    /// Messages as a StoreFlags of this session left them, which the client is told as a whole (`all`), or only in so
    /// far as the request does not foresee it (`foreseen`): then a change of another session that came along is
    /// announced.
    enum class Told : uint8_t { all, foreseen, kEnd };
    void take_stored(const proto::FlagsStored& stored, const proto::StoreFlags& request, Told told);
    /// Expunged by this session: told whatever the client wants to hear.
    void take_expunged(std::span<const proto::UidRange> uids);
    /// Added by this session: the same, and no news to it.
    void expect_added(SequenceRange uids);

    /// Appends the untagged answers for all that the client may and wants to hear now. The rows that are new and were
    /// not added by this session.
    Selection announce(std::string& out, Announce what, const Features& features, Hearing hearing = {});
    /// `* 5 FETCH (`, or `* 17 UIDFETCH (` (RFC 9586 3.3).
    void append_fetch_start(std::string& out, uint32_t index, const Features& features) const;
    /// Appends FLAGS and PERMANENTFLAGS when there are new keywords, or other rights.
    void announce_keywords(std::string& out);
    /// Whether announce(all) would write anything.
    bool has_news() const;

    /// `(\Seen $Junk word)`: the flags of a message.
    void append_flags(std::string& out, const proto::MessageRow& row) const;
    /// `(\Answered ... word)`: all that are in use, for FLAGS and PERMANENTFLAGS.
    void append_known_flags(std::string& out) const;
    /// The flags this session may change, and `\\*`; none when read-only.
    void append_permanent_flags(std::string& out) const;
    /// The keyword's spelling in this mailbox, or the given one when it is new.
    std::string spelling(std::string_view keyword) const;
    /// The bit of a keyword, 0 when no message can have it.
    uint64_t keyword_bit(std::string_view keyword) const;

  private:
    MailboxView(proto::Mailbox mailbox, std::vector<std::string> keywords, Access access);
    static std::optional<MailboxView> known_to(const RestedView& known);
    std::vector<RestedChange> known_changes() const;
    void note_known(SequenceRange uids, uint64_t modseq);
    void compare(std::span<const proto::MessageRow> now);
    void take_keywords(std::vector<std::string> keywords);
    void take_row(const proto::MessageRow& row);
    void announce_expunged(std::string& out, const Features& features);
    Selection announce_arrived(std::string& out);
    void announce_flags(std::string& out, const Features& features);
    bool is_foreseen(const proto::MessageRow& before, const proto::MessageRow& after,
                     const proto::StoreFlags& request) const;
    void note_gone(uint32_t uid);
    void note_reflagged(uint32_t uid);
    void note_touched(uint32_t uid);
    void sort_gone();

    proto::Mailbox mailbox_;
    std::vector<std::string> keywords_;
    Access access_;
    std::vector<proto::MessageRow> rows_;
    std::vector<proto::MessageRow> arrived_;  // not announced, ascending, above all rows
    std::vector<uint32_t> gone_;              // UIDs in rows_, not announced; ascending when clean
    std::vector<uint32_t> reflagged_;         // UIDs in rows_ whose flags changed elsewhere
    std::vector<SequenceRange> added_;        // UIDs that this session added and was not told of
    std::vector<uint32_t> touched_;           // UIDs, for take_touched()
    bool notes_touched_ = false;
    bool expunged_here_ = false;        // some of gone_ are this session's doing
    std::vector<SequenceRange> saved_;  // UIDs of the last SEARCH with SAVE
    uint64_t told_modseq_ = 0;
    bool gone_sorted_ = true;
    uint32_t uid_floor_ = 1;  // what arrives has a UID from here on
    bool keywords_changed_ = false;
};

/// Appends a number in decimal.
void append_number(std::string& out, uint64_t number);

}  // namespace mox::imapd
