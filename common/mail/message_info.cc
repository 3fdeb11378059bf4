#include "common/mail/message_info.h"

#include <algorithm>

#include "common/text/ascii.h"

namespace mox::mail {

bool is_listed_field(std::string_view name) {
    return std::ranges::any_of(kListedFields, [&](std::string_view listed) { return text::iequals(listed, name); });
}

bool is_multipart(const Part& part) {
    return text::iequals(part.type, "multipart");
}

bool is_message(const Part& part) {
    return text::iequals(part.type, "message") &&
           (text::iequals(part.subtype, "rfc822") || text::iequals(part.subtype, "global"));
}

bool is_message_root(const Part& part) {
    return part.envelope.has_value();
}

std::vector<uint32_t> children(const MessageInfo& info, uint32_t index) {
    std::vector<uint32_t> out;
    for (uint32_t i = index + 1; i < info.parts.size(); ++i) {
        if (info.parts[i].parent < index) break;  // parts stand depth first: the subtree has ended
        if (info.parts[i].parent == index) out.push_back(i);
    }
    return out;
}

}  // namespace mox::mail
