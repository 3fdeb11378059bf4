#include "common/mail/message_info.h"

#include <algorithm>

#include "common/mail/address.h"
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

std::vector<std::string> recipient_addresses(const MessageInfo& info, size_t max) {
    std::vector<std::string> out;
    if (info.parts.empty() || !info.parts[0].envelope) return out;
    const Envelope& envelope = info.envelopes[*info.parts[0].envelope];
    for (const auto* list : {&envelope.to, &envelope.cc, &envelope.bcc}) {
        for (const auto& entry : *list) {
            if (!entry.mailbox || !entry.host || out.size() == max) continue;
            auto domain = domain_to_ascii(*entry.host);
            if (!domain) continue;
            std::string address = to_string(Address{*entry.mailbox, *domain});
            if (std::ranges::find(out, address) == out.end()) out.push_back(std::move(address));
        }
    }
    return out;
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
