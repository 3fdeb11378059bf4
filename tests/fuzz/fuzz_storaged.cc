// Names of mailboxes: what is accepted stays the same when canonicalised again, and so do the names above it; keywords
// and account names never hold what would break a line or a path.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "storaged/names.h"

using namespace mox::storaged;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto name = canonical_mailbox_name(text)) {
        auto again = canonical_mailbox_name(*name);
        require(again.has_value() && *again == *name);
        for (const std::string& parent : parents_of(*name)) {
            auto canonical = canonical_mailbox_name(parent);
            require(canonical.has_value() && *canonical == parent);
        }
    }
    if (auto name = canonical_subscription(text)) {
        auto again = canonical_subscription(*name);
        require(again.has_value() && *again == *name);
    }
    if (is_account_name(text)) require(text.find('/') == std::string_view::npos && text.front() != '.');
    if (is_keyword(text)) require(text.find_first_of(" \r\n()") == std::string_view::npos);
    return 0;
}
