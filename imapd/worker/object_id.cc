#include "imapd/worker/object_id.h"

#include <fmt/format.h>

namespace mox::imapd {

std::string mailbox_id(const proto::Mailbox& mailbox) {
    return fmt::format("F{:08x}", mailbox.uidvalidity);
}

std::string email_id(const proto::ContentId& content) {
    return fmt::format("M{:x}-{:x}", content.number, static_cast<uint64_t>(content.stored));
}

}  // namespace mox::imapd
