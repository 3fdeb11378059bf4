// SenderIndex: what became of earlier messages of the same senders (proto/senders.h).
//
// What is known of a message's senders is in its `content` row, which is written anyway, so a delivery costs no page
// for it. The newest messages are looked through one by one. When some wait (SenderLimits), they get rows of their own
// in the newest segment: rows of `sender_key`, one for each facet, clustered by the segment, so that all of one are in
// some sixty pages that lie together, wherever its keys would be in a table of all. Keys are hashes with a secret of
// the store: who may choose his names cannot make them fall together with another's.
//
// A row of `sender` stays when its message goes, until there are too many or it is too old: then the oldest segment
// goes as a whole. What people say of a message is in `opinion` (opinions.cc). Runs in the worker threads, inside a
// strand's operations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/senders.h"
#include "storaged/counters.h"
#include "storaged/sql.h"

namespace mox::storaged {

/// The senders of a message, as they were told.
struct Senders {
    std::string mail_from;
    std::string remote_address;
    std::string ehlo;
    proto::SenderFacts facts;
};
/// One of them.
struct SenderKey {
    proto::SenderFacet facet;
    std::string value;  // in lower case
};
/// All facets that they have, each once.
std::vector<SenderKey> sender_keys(const Senders& senders);
/// Whether facts are in bounds, and texts such.
bool are_facts(const proto::SenderFacts& facts);
/// How they are kept: a byte with the bits, and lines.
std::string encode_facts(const proto::SenderFacts& facts);
/// Notes in what encode_facts() made that the message was delivered into a mailbox for junk.
void mark_filed_as_junk(std::string& encoded);

class SenderIndex {
  public:
    explicit SenderIndex(const SenderLimits& limits) : limits_(limits) {}

    /// A content came into the store.
    void note_added() { waiting_ += looked_ ? 1 : 0; }
    /// Whether there is something for step() to do.
    bool is_due(Database& db);
    /// Indexes some, or removes the oldest segment; false when nothing was left. `now` in Unix seconds.
    bool step(Database& db, int64_t now);
    /// So that this content, which has senders, may go.
    void index_up_to(Database& db, uint64_t content);

    /// The history of each key, in their order.
    std::vector<proto::SenderHistory> find(Database& db, const std::vector<SenderKey>& keys);
    /// Of the messages that have one of these keys nothing is known any more; how many those were.
    int64_t forget(Database& db, const std::vector<SenderKey>& keys);
    /// The same of all.
    int64_t forget_all(Database& db);

  private:
    struct Wanted;
    struct Posting {
        uint64_t key;
        uint64_t content;
    };
    uint64_t indexed(Database& db);
    std::string secret(Database& db);
    void look(Database& db);
    bool index_some(Database& db);
    void add_to_segment(Database& db, uint64_t first, uint64_t last, uint64_t messages, std::vector<Posting>& keys);
    bool drop_oldest(Database& db, int64_t now);
    void find_waiting(Database& db, std::vector<Wanted>& wanted);
    void find_in_segment(Database& db, uint64_t segment, Wanted& wanted);

    const SenderLimits& limits_;
    // As of the last look and what was added since: an operation that is undone leaves it too high.
    bool looked_ = false;
    size_t waiting_ = 0;  // contents behind those that are indexed, no more than are indexed at once
};

}  // namespace mox::storaged
