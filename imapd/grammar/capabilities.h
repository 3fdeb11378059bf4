// What IMAP clients are told this server can do; each of it works.
#pragma once

#include <string_view>

namespace mox::imapd {

/// After login; before it the same, with STARTTLS, AUTH= and LOGINDISABLED as they apply (RFC 3501 6.1.1).
constexpr std::string_view kCapabilities =
    "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE "
    "LIST-EXTENDED LIST-STATUS";

}  // namespace mox::imapd
