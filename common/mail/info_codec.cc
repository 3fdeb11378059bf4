#include "common/mail/info_codec.h"

#include "common/ipc/codec.h"

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

}  // namespace

MessageInfo decode_info(std::string_view encoded) {
    auto info = ipc::decode<MessageInfo>(encoded);
    if (info && is_consistent(*info)) return std::move(*info);
    return opaque(info ? info->size : 0);
}

MessageInfo decode_info(std::string_view encoded, uint64_t file_size) {
    auto info = ipc::decode<MessageInfo>(encoded);
    if (info && is_consistent(*info) && info->size == file_size) return std::move(*info);
    return opaque(file_size);
}

}  // namespace mox::mail
