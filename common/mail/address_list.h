// Address lists of header fields (From, To, ...) in the form that IMAP's ENVELOPE wants.
//
// A pure function, tolerant: an address that cannot be understood is left out, the others stay. Groups become
// start and end marks. Names keep their encoded words. At most `max` entries are made, whatever comes in.
// RFCs: 5322 3.4, 4.4 (obsolete routes), 3501 7.4.2 (the shape of the result), 6532 3.2 (UTF-8 passes).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/mail/address.h"
#include "common/mail/message_info.h"

namespace mox::mail {

/// Most entries (addresses and group marks) that parse_address_list makes by default.
inline constexpr size_t kMaxListEntries = 4096;

/// `value` is the value of an address field, folding allowed. `truncated`, if given, is set when `max` was reached.
/// A word without @ gives an entry with that mailbox and an empty host. Groups are always closed.
std::vector<EnvelopeAddress> parse_address_list(std::string_view value, size_t max = kMaxListEntries,
                                                bool* truncated = nullptr);

/// The address of a list entry if it is one that SMTP could use; nothing for group marks and broken ones.
std::optional<Address> to_address(const EnvelopeAddress& entry);

}  // namespace mox::mail
