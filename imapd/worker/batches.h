// Walks a selection of messages in batches, and asks storaged for parses and files of them ahead of their use.
#pragma once

#include <optional>
#include <type_traits>
#include <vector>

#include "imapd/worker/session.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// The rows of a selection one after the other, without those known to be expunged.
class SelectionWalk {
  public:
    SelectionWalk(const MailboxView& view, Selection selection) : view_(view), selection_(std::move(selection)) {}
    /// The next row indexes, at most `limit`; empty at the end.
    std::vector<uint32_t> next(size_t limit);
    /// Rows passed over.
    size_t gone() const { return gone_; }

  private:
    const MailboxView& view_;
    Selection selection_;
    size_t range_ = 0;
    uint32_t at_ = 0;  // within the range
    size_t gone_ = 0;
};

/// A row with its parse.
struct RowInfo {
    uint32_t index;
    mail::MessageInfo info;
    proto::ContentId content;
    std::string prefix;  // when it was wanted
};
/// A row with its parse and file.
struct RowFile {
    uint32_t index;
    StoredMessage message;
};

/// Hands out what storaged has of a selection, ascending or descending, batch by batch, with the next batch on its way.
/// `Item` is RowInfo or RowFile.
template <class Item>
class Source {
  public:
    /// Of what the session has selected. It and that outlive this. `parts` is for files.
    Source(Session& session, Selection selection, proto::MessageParts parts = proto::MessageParts::whole)
        : Source(session, session.view(), std::move(selection), parts) {}
    /// Of any mailbox of the account. Both outlive this.
    Source(Session& session, const MailboxView& view, Selection selection,
           proto::MessageParts parts = proto::MessageParts::whole);
    /// What of the parses is wanted, of RowInfo.
    void need(mail::InfoNeeds needs) { needs_ = needs; }
    void want_prefix() { wants_prefix_ = true; }
    /// Empty at the end. Storage errors throw CommandFailed.
    async::Task<std::vector<Item>> next();
    /// Messages that do not exist any more.
    size_t missing() const { return missing_ + walk_.gone(); }
    /// Messages that cannot be read are passed over; else the first one throws CommandFailed.
    void pass_damaged() { passes_damaged_ = true; }
    /// One turns out to be damaged.
    void note_damaged(uint32_t uid);
    /// The UIDs of those, as they were met.
    const std::vector<uint32_t>& damaged() const { return damaged_; }

  private:
    using Request = std::conditional_t<std::is_same_v<Item, RowInfo>, proto::FetchInfos, proto::OpenMessages>;
    using Reply = typename Request::Reply;
    void ask_ahead();
    Request request(std::vector<proto::Uid> uids) const;
    std::vector<Item> take(Reply reply);
    void note_absent(const Reply& reply, uint32_t uid);
    async::Task<void> complete(std::vector<Item>& batch);

    Session& session_;
    const MailboxView& view_;
    SelectionWalk walk_;
    proto::MessageParts parts_;
    mail::InfoNeeds needs_ = mail::InfoNeeds::all;
    bool wants_prefix_ = false;
    std::vector<uint32_t> wanted_;  // rows of the request under way, then those left of it; ascending
    bool descending_ = false;       // the selection
    std::optional<async::Task<Result<Reply>>> ahead_;
    size_t missing_ = 0;
    bool passes_damaged_ = false;
    std::vector<uint32_t> damaged_;
};
using InfoSource = Source<RowInfo>;
using FileSource = Source<RowFile>;

/// The answer about messages that cannot be read.
std::string damaged_text(const std::vector<uint32_t>& uids);

/// Rows as a selection.
Selection to_selection(const std::vector<uint32_t>& indexes);

}  // namespace mox::imapd
