// VANISHED (EARLIER): which messages are gone since a modseq, for a client that comes back (RFC 7162 3.2.5, 3.2.10.1).
#pragma once

#include <vector>

#include "imapd/worker/session.h"

namespace mox::imapd {

/// Writes the answer, if there is anything to tell: of the UIDs in `known` (ascending) those expunged since and not in
/// the view any more. Storage errors throw CommandFailed.
async::Task<void> tell_vanished(Session& session, uint64_t since, std::vector<SequenceRange> known);

/// The numbers of both, ascending and disjoint like them.
std::vector<SequenceRange> intersect(const std::vector<SequenceRange>& a, const std::vector<SequenceRange>& b);
/// The UIDs of ranges that are not in the view.
std::vector<SequenceRange> without_rows(const std::vector<SequenceRange>& ranges, const MailboxView& view);

}  // namespace mox::imapd
