#include "imapd/worker/view.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sys/mman.h>

#include "common/text/ascii.h"
#include "imapd/worker/sealed_file.h"

namespace mox::imapd {
namespace {

constexpr uint64_t kMaxRows = 10'000'000;

using proto::MessageRow;

struct FlagName {
    uint32_t bit;
    std::string_view name;
};
constexpr std::array kFlagNames = {FlagName{proto::kAnswered, "\\Answered"}, FlagName{proto::kFlagged, "\\Flagged"},
                                   FlagName{proto::kDeleted, "\\Deleted"},   FlagName{proto::kSeen, "\\Seen"},
                                   FlagName{proto::kDraft, "\\Draft"},       FlagName{proto::kForwarded, "$Forwarded"},
                                   FlagName{proto::kJunk, "$Junk"},          FlagName{proto::kNotJunk, "$NotJunk"},
                                   FlagName{proto::kPhishing, "$Phishing"},  FlagName{proto::kMdnSent, "$MDNSent"}};

void sort_unique(std::vector<uint32_t>& uids) {
    std::ranges::sort(uids);
    auto extra = std::ranges::unique(uids);
    uids.erase(extra.begin(), extra.end());
}

void add_uid(std::vector<SequenceRange>& ranges, uint32_t uid) {
    if (!ranges.empty() && ranges.back().last + 1 == uid)
        ranges.back().last = uid;
    else
        ranges.push_back({uid, uid});
}

}  // namespace

void append_number(std::string& out, uint64_t number) {
    char digits[20];
    auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

size_t count(const Selection& selection) {
    size_t n = 0;
    for (const auto& range : selection) n += range.size();
    return n;
}

MailboxView::MailboxView(proto::Mailbox mailbox, std::vector<std::string> keywords, Access access)
    : mailbox_(std::move(mailbox)), keywords_(std::move(keywords)), access_(access) {}

Result<MailboxView> MailboxView::load(proto::MailboxColumns columns, Access access) {
    if (columns.keywords.size() > proto::kMaxKeywords || columns.count > kMaxRows)
        return temporary(ErrorCode::internal, "mailbox columns out of bounds");
    MailboxView view(std::move(columns.mailbox), std::move(columns.keywords), access);
    view.uid_floor_ = std::max<uint32_t>(view.mailbox_.uidnext, 1);
    view.told_modseq_ = view.mailbox_.highest_modseq;
    if (columns.count == 0) return view;
    if (!columns.rows || !is_sealed(columns.rows.get(), columns.count * sizeof(MessageRow)))
        return temporary(ErrorCode::internal, "mailbox columns not sealed");
    view.rows_.resize(columns.count);
    if (!read_whole(columns.rows.get(),
                    {reinterpret_cast<char*>(view.rows_.data()), columns.count * sizeof(MessageRow)}))
        return temporary(ErrorCode::internal, "mailbox columns not readable");
    for (size_t i = 1; i < view.rows_.size(); i++)
        if (view.rows_[i - 1].uid >= view.rows_[i].uid)
            return temporary(ErrorCode::internal, "mailbox columns not in order");
    return view;
}

// What the client knows of rows above told_modseq_: it changed them itself, or their change came to nothing. By modseq,
// of which one command makes one.
std::vector<RestedChange> MailboxView::known_changes() const {
    auto pending = reflagged_;
    sort_unique(pending);
    std::map<uint64_t, std::vector<SequenceRange>> changes;
    for (const auto& row : rows_) {
        if (row.modseq <= told_modseq_ || std::ranges::binary_search(pending, row.uid)) continue;
        add_uid(changes[row.modseq], row.uid);
        if (changes.size() > kMaxRestedChanges) break;  // too many to be kept
    }
    std::vector<RestedChange> out;
    for (const auto& [modseq, uids] : changes) out.push_back({modseq, pack_uids(uids)});
    return out;
}

// News that wait are found again by comparing: the rows still are what the client knows, and told_modseq_ is below all
// that it was not told.
std::optional<RestedView> MailboxView::rest() const {
    if (rows_.size() > kMaxRestedMessages) return std::nullopt;
    std::vector<SequenceRange> uids;
    for (const auto& row : rows_) add_uid(uids, row.uid);
    RestedView rested{mailbox_,        access_ == Access::read_only,
                      told_modseq_,    uid_floor_,
                      pack_uids(uids), pack_uids(saved_),
                      keywords_,       keywords_changed_,
                      known_changes()};
    if (rested.changes.size() > kMaxRestedChanges || rested.uid_bytes() > kMaxRestedUids) return std::nullopt;
    return rested;
}

// With rows that have nothing but their UIDs, and the modseqs of those whose flags the client knows.
std::optional<MailboxView> MailboxView::known_to(const RestedView& known) {
    auto uids = unpack_uids(known.uids);
    auto saved = unpack_uids(known.saved);
    if (!uids || !saved || known.keywords.size() > proto::kMaxKeywords) return std::nullopt;
    MailboxView view(known.mailbox, known.keywords, known.read_only ? Access::read_only : Access::read_write);
    view.told_modseq_ = known.told_modseq;
    view.uid_floor_ = known.uid_floor;
    view.saved_ = std::move(*saved);
    view.keywords_changed_ = known.keywords_changed;
    uint64_t count = 0;
    for (auto [first, last] : *uids) count += uint64_t{last} - first + 1;
    if (count > kMaxRestedMessages) return std::nullopt;
    view.rows_.reserve(count);
    for (auto [first, last] : *uids) {
        for (uint64_t uid = first; uid <= last; uid++) view.rows_.push_back({.uid = static_cast<uint32_t>(uid)});
    }
    for (const auto& change : known.changes) {
        auto changed = unpack_uids(change.uids);
        if (!changed) return std::nullopt;
        for (auto range : *changed) view.note_known(range, change.modseq);
    }
    return view;
}

void MailboxView::note_known(SequenceRange uids, uint64_t modseq) {
    auto at = std::ranges::lower_bound(rows_, uids.first, {}, &MessageRow::uid);
    for (; at != rows_.end() && at->uid <= uids.last; ++at) at->modseq = modseq;
}

Result<MailboxView> MailboxView::resume(RestedView known, proto::MailboxColumns columns) {
    auto view = known_to(known);
    if (!view) return temporary(ErrorCode::internal, "rested view out of bounds");
    auto now = load(std::move(columns), view->access_);
    if (!now) return now;
    if (now->id() != view->id() || now->mailbox_.uidvalidity != view->mailbox_.uidvalidity)
        return temporary(ErrorCode::internal, "not the mailbox that was left");
    view->compare(now->rows_);
    view->take_keywords(std::move(now->keywords_));
    view->keywords_changed_ |= now->mailbox_.rights != view->mailbox_.rights;
    view->mailbox_ = std::move(now->mailbox_);
    return std::move(*view);
}

Result<MailboxView> MailboxView::resume_deleted(RestedView known) {
    auto view = known_to(known);
    if (!view) return temporary(ErrorCode::internal, "rested view out of bounds");
    view->take_deletion();
    return std::move(*view);
}

// Fills in the rows from those of now, which are ascending too; what differs becomes news.
void MailboxView::compare(std::span<const MessageRow> now) {
    size_t at = 0;
    for (auto& row : rows_) {
        while (at < now.size() && now[at].uid < row.uid) at++;
        if (at == now.size() || now[at].uid != row.uid) {
            note_gone(row.uid);
            continue;
        }
        uint64_t known = std::exchange(row, now[at]).modseq;
        // What flags it had is not known any more: a change is told whether it changed flags or not.
        if (row.modseq > told_modseq_ && row.modseq != known) reflagged_.push_back(row.uid);
    }
    for (const auto& row : now)
        if (row.uid >= uid_floor_) arrived_.push_back(row);
    sort_gone();
}

std::optional<uint32_t> MailboxView::find(uint32_t uid) const {
    auto at = std::ranges::lower_bound(rows_, uid, {}, &MessageRow::uid);
    if (at == rows_.end() || at->uid != uid) return std::nullopt;
    return static_cast<uint32_t>(at - rows_.begin());
}

bool MailboxView::is_gone(uint32_t uid) const {
    return std::ranges::binary_search(gone_, uid);
}

std::vector<SequenceRange> MailboxView::uids_of(const SequenceSet& set, Numbers numbers) const {
    // RFC 3501 9: `*` is the largest number in use; in an empty mailbox there is none to be found
    if (set.saved) return saved_;
    if (numbers == Numbers::uid) return normalise(set, rows_.empty() ? 0 : rows_.back().uid);
    std::vector<SequenceRange> out;
    for (const auto& range : select(set, numbers)) out.push_back({rows_[range.begin].uid, rows_[range.end - 1].uid});
    return out;
}

std::vector<SequenceRange> MailboxView::uids_for_search(const SequenceSet& set, Numbers numbers) const {
    if (set.saved || numbers == Numbers::uid) return uids_of(set, numbers);
    auto size = static_cast<uint32_t>(rows_.size());
    std::vector<SequenceRange> out;
    for (auto [first, last] : normalise(set, size)) {
        first = std::max<uint32_t>(first, 1);
        last = std::min(last, size);
        if (first <= last) out.push_back({rows_[first - 1].uid, rows_[last - 1].uid});
    }
    return out;
}

void MailboxView::save(const std::vector<uint32_t>& indexes) {
    saved_.clear();
    uint32_t next = 0;
    for (uint32_t index : indexes) {
        // Between two neighbours of the view is nothing, so a run of rows is a range of UIDs.
        if (!saved_.empty() && index == next)
            saved_.back().last = rows_[index].uid;
        else
            saved_.push_back({rows_[index].uid, rows_[index].uid});
        next = index + 1;
    }
}

Selection MailboxView::select(const SequenceSet& set, Numbers numbers) const {
    Selection out;
    auto size = static_cast<uint32_t>(rows_.size());
    if (numbers == Numbers::sequence && !set.saved) {
        for (auto [first, last] : normalise(set, size)) {
            // RFC 3501 9 seq-number: a number that is no message is an error; so is `*` in an empty mailbox
            if (first == 0 || last > size) throw SyntaxError("message number out of range");
            out.push_back({first - 1, last});
        }
        return out;
    }
    for (auto [first, last] : uids_of(set, Numbers::uid)) {
        auto begin = std::ranges::lower_bound(rows_, first, {}, &MessageRow::uid);
        auto end = std::ranges::upper_bound(rows_, last, {}, &MessageRow::uid);
        if (begin == end) continue;
        IndexRange range{static_cast<uint32_t>(begin - rows_.begin()), static_cast<uint32_t>(end - rows_.begin())};
        if (!out.empty() && out.back().end == range.begin)
            out.back().end = range.end;
        else
            out.push_back(range);
    }
    return out;
}

std::vector<proto::UidRange> MailboxView::uid_ranges(const Selection& selection) const {
    // All messages between two neighbours of the view are expunged, so a range of rows is a range of UIDs.
    std::vector<proto::UidRange> out;
    out.reserve(selection.size());
    for (const auto& range : selection) out.push_back({rows_[range.begin].uid, rows_[range.end - 1].uid});
    return out;
}

void MailboxView::take_keywords(std::vector<std::string> keywords) {
    if (keywords == keywords_ || keywords.size() > proto::kMaxKeywords) return;
    keywords_ = std::move(keywords);
    keywords_changed_ = true;
}

void MailboxView::take_row(const MessageRow& row) {
    if (auto index = find(row.uid)) {
        MessageRow& known = rows_[*index];
        bool differs = known.flags != row.flags || known.keywords != row.keywords;
        known = row;
        if (differs) note_reflagged(row.uid);
        note_touched(row.uid);
        return;
    }
    auto at = std::ranges::lower_bound(arrived_, row.uid, {}, &MessageRow::uid);
    if (at != arrived_.end() && at->uid == row.uid) *at = row;
    // What is below all that may still arrive, and not here any more, was expunged by this session.
    else if (row.uid >= uid_floor_)
        arrived_.insert(at, row);
}

void MailboxView::note_gone(uint32_t uid) {
    gone_.push_back(uid);
    gone_sorted_ = false;
}

void MailboxView::note_touched(uint32_t uid) {
    if (!notes_touched_) return;
    touched_.push_back(uid);
    if (touched_.size() > 2 * rows_.size() + 16) sort_unique(touched_);
}

std::vector<uint32_t> MailboxView::take_touched() {
    notes_touched_ = true;
    sort_unique(touched_);
    std::vector<uint32_t> out;
    for (uint32_t uid : std::exchange(touched_, {}))
        if (auto index = find(uid); index && !is_gone(uid)) out.push_back(*index);
    return out;
}

void MailboxView::touch_again(const std::vector<uint32_t>& indexes) {
    for (uint32_t index : indexes) note_touched(rows_[index].uid);
}

// A client that does not want to hear of flags leaves them here: no more than there are messages.
void MailboxView::note_reflagged(uint32_t uid) {
    reflagged_.push_back(uid);
    if (reflagged_.size() > 2 * rows_.size() + 16) sort_unique(reflagged_);
}

void MailboxView::take_changes(proto::MailboxChanges changes) {
    take_keywords(std::move(changes.keywords));
    for (const auto& row : changes.changed) take_row(row);
    for (const auto& range : changes.expunged) {
        auto begin = std::ranges::lower_bound(rows_, range.first, {}, &MessageRow::uid);
        for (auto at = begin; at != rows_.end() && at->uid <= range.last; ++at) note_gone(at->uid);
        std::erase_if(arrived_, [&](const auto& row) { return row.uid >= range.first && row.uid <= range.last; });
    }
    sort_gone();
    if (changes.mailbox.rights != mailbox_.rights) keywords_changed_ = true;  // RFC 4314 5.1.1: other PERMANENTFLAGS
    mailbox_ = std::move(changes.mailbox);
}

void MailboxView::sort_gone() {
    if (gone_sorted_) return;
    sort_unique(gone_);
    gone_sorted_ = true;
}

void MailboxView::take_deletion() {
    arrived_.clear();
    gone_.clear();
    for (const auto& row : rows_) gone_.push_back(row.uid);
}

bool MailboxView::is_foreseen(const MessageRow& before, const MessageRow& after,
                              const proto::StoreFlags& request) const {
    uint64_t bits = 0;
    for (const auto& keyword : request.keywords) bits |= keyword_bit(keyword);
    switch (request.mode) {
        case proto::StoreMode::replace:
            return after.flags == request.flags && after.keywords == bits;
        case proto::StoreMode::add:
            return after.flags == (before.flags | request.flags) && after.keywords == (before.keywords | bits);
        default:
            return after.flags == (before.flags & ~request.flags) && after.keywords == (before.keywords & ~bits);
    }
}

void MailboxView::take_stored(const proto::FlagsStored& stored, const proto::StoreFlags& request, Told told) {
    take_keywords(stored.keywords);
    size_t failed = 0;
    for (const auto& row : stored.rows) {
        while (failed < stored.unchanged_since_failed.size() && stored.unchanged_since_failed[failed].value < row.uid)
            failed++;
        bool refused =
            failed < stored.unchanged_since_failed.size() && stored.unchanged_since_failed[failed].value == row.uid;
        auto index = find(row.uid);
        if (!index) continue;
        MessageRow before = std::exchange(rows_[*index], row);
        bool differs = before.flags != row.flags || before.keywords != row.keywords;
        note_touched(row.uid);
        if (refused ? differs : told == Told::foreseen && !is_foreseen(before, row, request)) note_reflagged(row.uid);
    }
}

void MailboxView::take_expunged(std::span<const proto::UidRange> uids) {
    for (const auto& range : uids) {
        auto begin = std::ranges::lower_bound(rows_, range.first, {}, &MessageRow::uid);
        for (auto at = begin; at != rows_.end() && at->uid <= range.last; ++at) {
            note_gone(at->uid);
            expunged_here_ = true;
        }
    }
    sort_gone();
}

void MailboxView::expect_added(SequenceRange uids) {
    if (uids.last < uid_floor_) return;
    if (!added_.empty() && added_.back().last + 1 == uids.first)
        added_.back().last = uids.last;
    else
        added_.push_back(uids);
}

bool MailboxView::has_news() const {
    return !gone_.empty() || !arrived_.empty() || !reflagged_.empty() || keywords_changed_;
}

void MailboxView::announce_keywords(std::string& out) {
    if (!keywords_changed_) return;
    out += "* FLAGS ";
    append_known_flags(out);
    out += "\r\n* OK [PERMANENTFLAGS ";
    append_permanent_flags(out);
    out += "] flags can be changed\r\n";
    keywords_changed_ = false;
}

Selection MailboxView::announce(std::string& out, Announce what, const Features& features, Hearing hearing) {
    if (hearing.flags || hearing.arrived) announce_keywords(out);
    if (what == Announce::all && (hearing.expunged || expunged_here_)) announce_expunged(out, features);
    Selection news;
    if (hearing.arrived || !added_.empty()) news = announce_arrived(out);
    if (hearing.flags) announce_flags(out, features);
    if (!has_news()) told_modseq_ = mailbox_.highest_modseq;
    return news;
}

void MailboxView::announce_expunged(std::string& out, const Features& features) {
    if (gone_.empty()) return;
    // RFC 3501 7.4.1: each EXPUNGE lowers the numbers after it, so the numbers told count what is left.
    SetWriter vanished;
    size_t keep = 0;
    size_t next = 0;
    for (size_t i = 0; i < rows_.size(); i++) {
        while (next < gone_.size() && gone_[next] < rows_[i].uid) next++;
        bool gone = next < gone_.size() && gone_[next] == rows_[i].uid;
        if (!gone) {
            rows_[keep++] = rows_[i];
        } else if (features.tells_vanished()) {
            vanished.add(rows_[i].uid);
        } else {
            out += "* ";
            append_number(out, keep + 1);
            out += " EXPUNGE\r\n";
        }
    }
    if (features.tells_vanished()) out += "* VANISHED " + vanished.take() + "\r\n";  // RFC 7162 3.2.10
    rows_.resize(keep);
    gone_.clear();
    expunged_here_ = false;
}

Selection MailboxView::announce_arrived(std::string& out) {
    Selection news;
    if (arrived_.empty()) return news;
    for (const auto& row : arrived_) {
        auto index = static_cast<uint32_t>(rows_.size());
        rows_.push_back(row);
        note_touched(row.uid);
        if (contains(added_, row.uid)) continue;
        if (!news.empty() && news.back().end == index)
            news.back().end++;
        else
            news.push_back({index, index + 1});
    }
    uid_floor_ = rows_.back().uid + 1;
    arrived_.clear();
    std::erase_if(added_, [&](const auto& range) { return range.last < uid_floor_; });
    out += "* ";
    append_number(out, rows_.size());
    out += " EXISTS\r\n";
    return news;
}

void MailboxView::append_fetch_start(std::string& out, uint32_t index, const Features& features) const {
    out += "* ";
    append_number(out, features.uidonly ? rows_[index].uid : index + 1);
    out += features.uidonly ? " UIDFETCH (" : " FETCH (";
}

void MailboxView::announce_flags(std::string& out, const Features& features) {
    sort_unique(reflagged_);
    for (uint32_t uid : reflagged_) {
        auto index = find(uid);
        if (!index || is_gone(uid)) continue;
        append_fetch_start(out, *index, features);
        if (!features.uidonly) {
            out += "UID ";
            append_number(out, uid);
            out += ' ';
        }
        out += "FLAGS ";
        append_flags(out, rows_[*index]);
        if (features.condstore) {  // RFC 7162 3.1
            out += " MODSEQ (";
            append_number(out, rows_[*index].modseq);
            out += ')';
        }
        out += ")\r\n";
    }
    reflagged_.clear();
}

void MailboxView::append_flags(std::string& out, const MessageRow& row) const {
    out += '(';
    size_t start = out.size();
    for (const auto& flag : kFlagNames) {
        if ((row.flags & flag.bit) == 0) continue;
        out += flag.name;
        out += ' ';
    }
    for (uint64_t bits = row.keywords; bits != 0; bits &= bits - 1) {
        auto number = static_cast<size_t>(__builtin_ctzll(bits));
        if (number >= keywords_.size() || keywords_[number].empty()) continue;
        out += keywords_[number];
        out += ' ';
    }
    if (out.size() > start)
        out.back() = ')';
    else
        out += ')';
}

void MailboxView::append_known_flags(std::string& out) const {
    MessageRow all{};
    all.flags = proto::kAllFlags;
    all.keywords = ~0ull;
    append_flags(out, all);
}

void MailboxView::append_permanent_flags(std::string& out) const {
    if (access_ == Access::read_only) {
        out += "()";
        return;
    }
    // RFC 4314 5.1.1: as the rights are
    MessageRow changeable{};
    if (may(proto::kSeenRight)) changeable.flags |= proto::kSeen;
    if (may(proto::kDeleteMessageRight)) changeable.flags |= proto::kDeleted;
    if (may(proto::kWriteRight)) {
        changeable.flags |= proto::kAllFlags & ~(proto::kSeen | proto::kDeleted);
        changeable.keywords = ~0ull;
    }
    append_flags(out, changeable);
    if (!may(proto::kWriteRight)) return;
    out.back() = ' ';
    out += "\\*)";  // RFC 3501 7.1: new keywords can be made
}

std::string MailboxView::spelling(std::string_view keyword) const {
    for (const auto& known : keywords_)
        if (text::iequals(known, keyword)) return known;
    return std::string(keyword);
}

uint64_t MailboxView::keyword_bit(std::string_view keyword) const {
    for (size_t i = 0; i < keywords_.size(); i++)
        if (text::iequals(keywords_[i], keyword)) return 1ull << i;
    return 0;
}

}  // namespace mox::imapd
