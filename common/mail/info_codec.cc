#include "common/mail/info_codec.h"

#include <algorithm>

#include "common/ipc/codec.h"
#include "common/ipc/skip.h"

namespace mox::mail {
namespace {

constexpr size_t kMaxParts = 10'000;

bool is_consistent(const MessageInfo& info) {
    if (info.parts.empty() || info.parts.size() > kMaxParts) return false;
    for (size_t i = 0; i < info.parts.size(); i++) {
        const auto& part = info.parts[i];
        const auto& range = part.range;
        if (range.header_offset > range.body_offset || range.body_offset > range.end_offset ||
            range.end_offset > info.size)
            return false;
        if (i > 0 && part.parent >= i) return false;
        if (part.envelope && *part.envelope >= info.envelopes.size()) return false;
    }
    return info.parts[0].parent == 0 && info.parts[0].range.header_offset == 0;
}

MessageInfo opaque(uint64_t size) {
    MessageInfo info;
    info.size = size;
    info.truncated = true;
    info.envelopes.emplace_back();
    Part part;
    part.type = "text";
    part.subtype = "plain";
    part.params = {{"charset", "us-ascii"}};
    part.encoding = "7bit";
    part.range.end_offset = size;
    part.envelope = 0;
    info.parts.push_back(std::move(part));
    return info;
}

bool has_inner_envelope(const MessageInfo& info) {
    return std::ranges::any_of(info.parts.begin() + 1, info.parts.end(),
                               [](const Part& part) { return part.envelope.has_value(); });
}

/// The first `wanted` of the vector that follows, the others passed over.
template <class T>
bool get_first(ipc::Decoder& decoder, std::vector<T>& items, uint32_t wanted) {
    uint32_t count = 0;
    if (!ipc::take_count(decoder.rest(), count) || count > decoder.rest().size()) return false;
    for (uint32_t i = 0; i < count; i++)
        if (i < wanted ? !decoder.get(items.emplace_back()) : !ipc::skip<T>(decoder.rest())) return false;
    return true;
}

/// Those that were made before there were listed fields end without that optional.
std::optional<MessageInfo> decode_all(std::string_view encoded) {
    if (auto info = ipc::decode<MessageInfo>(encoded)) return std::move(*info);
    auto info = ipc::decode<MessageInfo>(std::string(encoded) + '\0');
    if (!info || info->listed_fields) return std::nullopt;
    return std::move(*info);
}

template <class... Members>
bool skip_to_last(std::string_view& rest, const std::tuple<Members&...>*) {
    size_t left = sizeof...(Members) - 1;
    return ((left-- == 0 || ipc::skip<Members>(rest)) && ...);
}

std::optional<MessageInfo> decode_listed(std::string_view encoded) {
    MessageInfo info;
    if (!skip_to_last(encoded, static_cast<decltype(ipc::fields(info))*>(nullptr))) return std::nullopt;
    ipc::Decoder decoder(encoded);
    if (!encoded.empty() && !decoder.get(info.listed_fields)) return std::nullopt;
    return info;
}

/// The fields up to `size`, or up to `date`, in their order.
std::optional<MessageInfo> decode_beginning(std::string_view encoded, InfoNeeds needs) {
    MessageInfo info;
    ipc::Decoder decoder(encoded);
    bool structure = needs == InfoNeeds::structure;
    if (!get_first(decoder, info.parts, structure ? UINT32_MAX : 1) || info.parts.empty()) return std::nullopt;
    // The root's stands first (mime_parser.h); a structure does not show it.
    bool all = structure ? has_inner_envelope(info) : info.parts[0].envelope.value_or(0) != 0;
    uint32_t wanted = all ? UINT32_MAX : structure ? 0 : 1;
    if (!get_first(decoder, info.envelopes, wanted) || !decoder.get(info.size)) return std::nullopt;
    if (wanted == 0) info.envelopes.emplace_back();
    if (needs == InfoNeeds::envelope && !(decoder.get(info.max_line_length) && decoder.get(info.received_count) &&
                                          decoder.get(info.from_count) && decoder.get(info.date)))
        return std::nullopt;
    return info;
}

}  // namespace

MessageInfo decode_info(std::string_view encoded, InfoNeeds needs) {
    if (needs == InfoNeeds::listed) return decode_listed(encoded).value_or(MessageInfo{});
    auto info = needs == InfoNeeds::all ? decode_all(encoded) : decode_beginning(encoded, needs);
    if (info && is_consistent(*info)) return std::move(*info);
    return opaque(info ? info->size : 0);
}

MessageInfo decode_info(std::string_view encoded, uint64_t file_size) {
    auto info = decode_all(encoded);
    if (info && is_consistent(*info) && info->size == file_size) return std::move(*info);
    return opaque(file_size);
}

}  // namespace mox::mail
