// Parts of messages that are here already, found by their URLs (CATENATE, RFC 4469 3).
#pragma once

#include <string>

#include "imapd/worker/session.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

/// Bytes of a message.
struct UrlPart {
    StoredMessage message;
    mail::Range range;
};

/// Fails with NO [BADURL] for what cannot be found (RFC 4469 4).
async::Task<UrlPart> find_part_of_url(Session& session, std::string url);
/// As much of a URL as may stand in a response code.
std::string printable_url(std::string_view url);

}  // namespace mox::imapd
