#include "imapd/worker/rest.h"

#include <algorithm>

#include "imapd/grammar/command.h"
#include "imapd/worker/deflate_transport.h"

namespace mox::imapd {
namespace {

void put(std::string& out, uint32_t number) {
    for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
    out += static_cast<char>(number);
}

std::optional<uint32_t> take(std::string_view& bytes) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && !bytes.empty(); shift += 7) {
        auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        number |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return number <= UINT32_MAX ? std::optional(static_cast<uint32_t>(number)) : std::nullopt;
    }
    return std::nullopt;
}

bool is_count_within(const std::vector<SequenceRange>& ranges, uint64_t limit) {
    uint64_t count = 0;
    for (auto [first, last] : ranges) count += uint64_t{last} - first + 1;
    return count <= limit;
}

bool is_known(const RestedView& view) {
    auto uids = unpack_uids(view.uids);
    auto saved = unpack_uids(view.saved);
    bool changes = std::ranges::all_of(view.changes, [&](const auto& change) {
        return change.modseq > view.told_modseq && unpack_uids(change.uids).has_value();
    });
    return uids && saved && changes && is_count_within(*uids, kMaxRestedMessages) &&
           (uids->empty() || uids->back().last < view.uid_floor) && view.keywords.size() <= proto::kMaxKeywords &&
           view.changes.size() <= kMaxRestedChanges && view.uid_bytes() <= kMaxRestedUids;
}

}  // namespace

size_t RestedView::uid_bytes() const {
    size_t sum = uids.size() + saved.size();
    for (const auto& change : changes) sum += change.uids.size();
    return sum;
}

Result<RestedSession> parse_rested(std::string_view bytes) {
    if (bytes.size() > proto::kMaxRestedState) return permanent(ErrorCode::bad_request, "too large");
    auto rested = ipc::decode<RestedSession>(bytes);
    if (!rested || rested->version != kRestVersion) return permanent(ErrorCode::bad_request, "of another version");
    // It goes to the client as it is.
    bool tag = rested->idle_tag.empty() || find_tag(rested->idle_tag + ' ') == rested->idle_tag;
    bool window = !rested->window || unpack_window(*rested->window);
    if (!tag || !window || (rested->view && !is_known(*rested->view)))
        return permanent(ErrorCode::bad_request, "out of bounds");
    return std::move(*rested);
}

std::string pack_uids(std::span<const SequenceRange> ranges) {
    std::string out;
    uint32_t next = 0;
    for (auto [first, last] : ranges) {
        put(out, first - next);
        put(out, last - first);
        next = last;
    }
    return out;
}

std::optional<std::vector<SequenceRange>> unpack_uids(std::string_view bytes) {
    std::vector<SequenceRange> out;
    uint64_t last = 0;
    while (!bytes.empty()) {
        auto distance = take(bytes);
        auto length = take(bytes);
        if (!distance || !length || *distance == 0) return std::nullopt;
        uint64_t first = last + *distance;
        last = first + *length;
        if (last > UINT32_MAX) return std::nullopt;
        out.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(last)});
    }
    return out;
}

}  // namespace mox::imapd
