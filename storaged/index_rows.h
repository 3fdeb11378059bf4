// Where the blocks of the index of words lie in their tables: by the number of their segment, then their own.
#pragma once

#include "storaged/segment.h"
#include "storaged/sql.h"

namespace mox::storaged {

constexpr unsigned kBlockBits = 24;  // of the number of a block within its segment

constexpr uint64_t first_block(uint64_t segment) {
    return segment << kBlockBits;
}
constexpr uint64_t last_block(uint64_t segment) {
    return first_block(segment + 1) - 1;
}

/// The postings of a block, sealed.
inline std::string postings_of(Database& db, uint64_t block) {
    auto row = db.query("SELECT postings FROM segment_postings WHERE id = ?", block);
    if (!row.next()) throw Damaged("postings are missing");
    return row.bytes(0);
}

inline void write_block(Database& db, uint64_t id, const Block& block) {
    db.run("INSERT INTO segment_words VALUES (?, ?, ?)", id, Blob{block.first}, Blob{block.words});
    db.run("INSERT INTO segment_postings VALUES (?, ?)", id, Blob{block.postings});
}

}  // namespace mox::storaged
