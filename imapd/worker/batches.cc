#include "imapd/worker/batches.h"

#include <algorithm>

namespace mox::imapd {
namespace {

constexpr size_t kInfosAtOnce = 200;
constexpr uint32_t kHeaderStart = 8 * 1024;  // most headers are smaller

std::vector<proto::Uid> uids_of(const MailboxView& view, const std::vector<uint32_t>& indexes) {
    std::vector<proto::Uid> out;
    out.reserve(indexes.size());
    for (uint32_t index : indexes) out.push_back({view.rows()[index].uid});
    return out;
}

/// Bytes of an answer from there on, as many as there are.
std::string_view bytes_at(std::string_view bytes, size_t begin, size_t size) {
    return bytes.substr(std::min(begin, bytes.size()), size);
}

}  // namespace

// RFC 5530 3
std::string damaged_text(const std::vector<uint32_t>& uids) {
    constexpr size_t kNamed = 10;
    std::string text = "[CORRUPTION] damaged on disk, cannot be read: UID";
    for (size_t i = 0; i < std::min(uids.size(), kNamed); i++) text += (i == 0 ? " " : ", ") + std::to_string(uids[i]);
    if (uids.size() > kNamed) text += " and " + std::to_string(uids.size() - kNamed) + " more";
    return text;
}

Selection to_selection(const std::vector<uint32_t>& indexes) {
    Selection out;
    for (uint32_t index : indexes) {
        if (!out.empty() && out.back().end == index)
            out.back().end++;
        else
            out.push_back({index, index + 1});
    }
    return out;
}

std::vector<uint32_t> SelectionWalk::next(size_t limit) {
    std::vector<uint32_t> out;
    while (range_ < selection_.size() && out.size() < limit) {
        const auto& range = selection_[range_];
        if (range.begin + at_ >= range.end) {
            range_++;
            at_ = 0;
            continue;
        }
        uint32_t index = range.begin + at_++;
        if (view_.is_gone(view_.rows()[index].uid))
            gone_++;
        else
            out.push_back(index);
    }
    return out;
}

template <class Item>
Source<Item>::Source(Session& session, const MailboxView& view, Selection selection, proto::MessageParts parts)
    : session_(session), view_(view), walk_(view, std::move(selection)), parts_(parts) {}

template <class Item>
typename Source<Item>::Request Source<Item>::request(std::vector<proto::Uid> uids) const {
    if constexpr (std::is_same_v<Item, RowInfo>) {
        return {view_.id(), std::move(uids), wants_prefix_};
    } else {
        uint32_t start = parts_ == proto::MessageParts::whole ? proto::kMaxMessageStart : kHeaderStart;
        return {view_.id(), std::move(uids), start, parts_};
    }
}

template <class Item>
void Source<Item>::ask_ahead() {
    constexpr size_t kAtOnce = std::is_same_v<Item, RowInfo> ? kInfosAtOnce : proto::kMaxMessagesPerOpen;
    if (wanted_.empty()) {
        wanted_ = walk_.next(kAtOnce);
        if (wanted_.empty()) return;
        descending_ |= wanted_.front() > wanted_.back();
        if (descending_) std::ranges::reverse(wanted_);
    }
    ahead_.emplace(session_.account().call(request(uids_of(view_, wanted_))));
}

template <class Item>
void Source<Item>::note_damaged(uint32_t uid) {
    if (!passes_damaged_) fail_no(damaged_text({uid}));
    damaged_.push_back(uid);
}

/// A message that is not in the answer: it is gone, or it cannot be read.
template <class Item>
void Source<Item>::note_absent(const Reply& reply, uint32_t uid) {
    if constexpr (std::is_same_v<Item, RowFile>) {
        if (std::ranges::binary_search(reply.damaged, uid, {}, &proto::Uid::value)) {
            return note_damaged(uid);
        }
    }
    missing_++;
}

// What was asked for and lies before the last answer, but is not there, does not exist; what lies after it is asked for
// again, unless nothing came at all.
template <class Item>
std::vector<Item> Source<Item>::take(Reply reply) {
    std::vector<Item> out;
    size_t at = 0;
    for (auto& message : reply.messages) {
        while (at < wanted_.size() && view_.rows()[wanted_[at]].uid < message.uid.value)
            note_absent(reply, view_.rows()[wanted_[at++]].uid);
        if (at == wanted_.size() || view_.rows()[wanted_[at]].uid != message.uid.value) continue;
        if constexpr (std::is_same_v<Item, RowInfo>) {
            auto info = bytes_at(reply.bytes, message.begin, message.info);
            auto prefix = bytes_at(reply.bytes, size_t{message.begin} + message.info, message.prefix);
            out.push_back({wanted_[at], decode_info(info, needs_), message.content, std::string(prefix)});
        } else {
            out.push_back({wanted_[at], StoredMessage(std::move(message))});
        }
        at++;
    }
    if (out.empty())
        while (at < wanted_.size()) note_absent(reply, view_.rows()[wanted_[at++]].uid);
    wanted_.erase(wanted_.begin(), wanted_.begin() + static_cast<ptrdiff_t>(at));
    return out;
}

// A header that is longer than what was asked for is read from its file.
template <class Item>
async::Task<void> Source<Item>::complete(std::vector<Item>& batch) {
    if constexpr (std::is_same_v<Item, RowFile>) {
        for (auto& item : batch) {
            if (item.message.has_header()) continue;
            proto::OpenMessages whole{view_.id(), {{item.message.uid()}}};
            auto reply = co_await session_.ask(std::move(whole), "EXPUNGEISSUED");
            if (!reply.damaged.empty()) note_damaged(item.message.uid());
            if (!reply.messages.empty()) item.message = StoredMessage(std::move(reply.messages.front()));
        }
        std::erase_if(batch, [this](const auto& item) {
            return !damaged_.empty() && damaged_.back() >= item.message.uid() &&
                   std::ranges::find(damaged_, item.message.uid()) != damaged_.end();
        });
    }
    co_return;
}

template <class Item>
async::Task<std::vector<Item>> Source<Item>::next() {
    std::vector<Item> out;
    if (!ahead_) ask_ahead();
    bool whole = false;  // what comes last in a batch goes first when descending
    while (ahead_ && (out.empty() || (descending_ && !whole))) {
        auto reply = co_await *ahead_;
        ahead_.reset();
        if (!reply) fail_storage(reply.error(), "EXPUNGEISSUED");
        auto some = take(std::move(*reply));
        if (out.empty())
            out = std::move(some);
        else
            std::ranges::move(some, std::back_inserter(out));
        whole = wanted_.empty();
        ask_ahead();
    }
    co_await complete(out);
    if (descending_) std::ranges::reverse(out);
    co_return out;
}

template class Source<RowInfo>;
template class Source<RowFile>;

}  // namespace mox::imapd
