// Replaying the journal: after a crash, what was acknowledged is written to its own place from the journal's records.
//
// Runs once, before any database is opened. Doing it again does no harm: a crash in it is mended by the next.
#pragma once

#include <cstdint>
#include <string>

namespace mox::storaged {

std::string journal_segment_path(size_t segment);
struct Replayed {
    uint64_t next_sequence = 1;
    uint64_t era = 0;            // of the last process; 0: there was no journal
    bool ended_cleanly = false;  // that process said so
    size_t newest = 0;           // the segment that was written last
};
/// Puts everything into its place and syncs it. A segment is at most about `segment_size` long. Throws StoreFailure.
Replayed replay_journal(uint64_t segment_size);

}  // namespace mox::storaged
