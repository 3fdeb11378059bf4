#include "storaged/rights.h"

#include <algorithm>

namespace mox::storaged {

uint32_t rights_for(const std::vector<proto::AclEntry>& entries, std::string_view account) {
    uint32_t given = 0;
    uint32_t taken = 0;
    for (const auto& entry : entries) {
        std::string_view identifier = entry.identifier;
        bool negative = identifier.starts_with('-');
        if (negative) identifier.remove_prefix(1);
        if (identifier != account && identifier != proto::kAnyone) continue;
        (negative ? taken : given) |= entry.rights;
    }
    return given & ~taken;  // RFC 4314 2: negative rights take away what any other entry gives
}

uint32_t rights_for(const Shares& shares, uint64_t mailbox, std::string_view account) {
    auto found = shares.find(mailbox);
    return found == shares.end() ? 0 : rights_for(found->second, account);
}

bool shares_with(const Shares& shares, std::string_view account) {
    return std::ranges::any_of(shares, [&](const auto& share) { return rights_for(share.second, account) != 0; });
}

}  // namespace mox::storaged
