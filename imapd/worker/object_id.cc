#include "imapd/worker/object_id.h"

#include <fmt/format.h>

namespace mox::imapd {

namespace {

std::string owner_mark(const proto::Mailbox& mailbox) {
    std::string mark;
    for (char c : proto::owner_of(mailbox.name)) mark += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return mark.empty() ? mark : "-" + mark;
}

}  // namespace

std::string mailbox_id(const proto::Mailbox& mailbox) {
    return fmt::format("F{:08x}{}", mailbox.uidvalidity, owner_mark(mailbox));
}

std::string email_id(const proto::ContentId& content, const proto::Mailbox& mailbox) {
    return fmt::format("M{:x}-{:x}{}", content.number, static_cast<uint64_t>(content.stored), owner_mark(mailbox));
}

}  // namespace mox::imapd
