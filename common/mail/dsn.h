// Builds delivery status notifications: what became of a message, for people and for programs.
//
// A pure function from facts to the bytes of a message (CRLF throughout): a multipart/report of an explanation, a
// message/delivery-status part and the header of the original. Nothing in the input can break out of its field or
// part: line breaks become spaces, the boundary is chosen to occur nowhere. The caller sends it with the null reverse
// path (RFC 3464 2) and never in answer to a message that had one.
// RFCs: 3464, 3463 (status), 6522 (report), 6533 3 (addresses in UTF-8), 3834 5 (Auto-Submitted).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/mail/address.h"
#include "common/mail/date.h"

namespace mox::mail {

enum class DsnAction : uint8_t { failed, delayed, delivered, relayed, expanded, kEnd };  // RFC 3464 2.3.3

struct DsnRecipient {
    std::optional<std::string> original_recipient;  // ORCPT as given, `rfc822;...` (RFC 3461 4.2)
    Address final_recipient;
    DsnAction action = DsnAction::failed;
    std::string status;                     // 5.1.1 (RFC 3463)
    std::optional<std::string> remote_mta;  // host name
    std::optional<std::string> diagnostic;  // the SMTP reply, `550 5.1.1 no such user`
    std::optional<DateTime> last_attempt;
    std::optional<DateTime> will_retry_until;  // delayed only
};

struct Dsn {
    std::string reporting_mta;               // host name
    std::optional<std::string> envelope_id;  // ENVID (RFC 3461 4.4)
    std::optional<DateTime> arrival_date;    // of the original message
    DateTime date;                           // of the notification
    Address from;                            // whom it claims to come from, e.g. postmaster@hostname
    Address to;                              // envelope sender of the original
    std::string message_id;                  // without <>
    std::optional<std::string> in_reply_to;  // message id of the original, without <>
    std::string subject;
    std::string explanation;  // plain words, UTF-8, lines ending in \n or \r\n
    std::vector<DsnRecipient> recipients;
    std::string original_header;  // header block of the original; cut after kMaxOriginalHeader
};

inline constexpr size_t kMaxOriginalHeader = 64 * 1024;

/// The whole notification. 7-bit unless the explanation, an address or the original header is not.
std::string build_dsn(const Dsn& dsn);

}  // namespace mox::mail
