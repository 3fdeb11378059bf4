#include "imapd/worker/vanished.h"

#include <algorithm>

namespace mox::imapd {
namespace {

constexpr size_t kLine = 4096;  // bytes of one VANISHED: more are several

async::Task<std::vector<SequenceRange>> expunged_since(Session& session, uint64_t since) {
    SequenceSet gone;
    for (bool more = true; more;) {
        auto changes = co_await session.ask(proto::GetChanges{session.view().id(), since});
        for (const auto& range : changes.expunged) gone.ranges.push_back({range.first, range.last});
        more = changes.more && changes.mailbox.highest_modseq > since;
        since = changes.mailbox.highest_modseq;
    }
    co_return normalise(gone, 0);
}

}  // namespace

std::vector<SequenceRange> intersect(const std::vector<SequenceRange>& a, const std::vector<SequenceRange>& b) {
    std::vector<SequenceRange> out;
    for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        uint32_t first = std::max(a[i].first, b[j].first);
        uint32_t last = std::min(a[i].last, b[j].last);
        if (first <= last) out.push_back({first, last});
        a[i].last < b[j].last ? i++ : j++;
    }
    return out;
}

std::vector<SequenceRange> without_rows(const std::vector<SequenceRange>& ranges, const MailboxView& view) {
    std::vector<SequenceRange> out;
    auto rows = view.rows();
    for (auto [first, last] : ranges) {
        auto at = std::ranges::lower_bound(rows, first, {}, &proto::MessageRow::uid);
        for (; at != rows.end() && at->uid <= last; ++at) {
            if (at->uid > first) out.push_back({first, at->uid - 1});
            first = at->uid + 1;
        }
        if (first <= last && first != 0) out.push_back({first, last});
    }
    return out;
}

async::Task<void> tell_vanished(Session& session, uint64_t since, std::vector<SequenceRange> known) {
    auto gone = intersect(co_await expunged_since(session, since), known);
    std::string set;
    auto write = [&] {
        if (!set.empty()) session.untagged("VANISHED (EARLIER) " + set);
        set.clear();
    };
    for (const auto& range : without_rows(gone, session.view())) {
        SetWriter writer;
        writer.add(range.first, range.last);
        set += (set.empty() ? "" : ",") + writer.take();
        if (set.size() < kLine) continue;
        write();
        co_await session.flush_some();
    }
    write();
}

}  // namespace mox::imapd
