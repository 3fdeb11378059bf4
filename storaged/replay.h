// Replaying the journal: after a crash, what was acknowledged is written to its own place from the journal's records.
//
// Runs once, before any database is opened. Doing it again does no harm: a crash in it is mended by the next.
#pragma once

#include <cstdint>
#include <string>

namespace mox::storaged {

std::string journal_segment_path(size_t segment);
/// The segment with the highest first sequence number; 0 when there is none.
size_t newest_journal_segment();
struct Replayed {
    uint64_t next_sequence = 1;
    uint64_t era = 0;            // of the last process; 0: there was no journal
    bool ended_cleanly = false;  // that process said so
};
/// Puts everything into its place and syncs it. A segment is at most about `segment_size` long. Throws StoreFailure.
Replayed replay_journal(uint64_t segment_size);

}  // namespace mox::storaged
