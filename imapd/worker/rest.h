// What is left of a session while its worker sleeps: enough to go on as if nothing had been.
//
// moxd keeps it as opaque bytes beside the session's socket; only a worker of the same account makes and reads it, but
// one that another had taken over may have made it: parse_rested() takes nothing for granted. Pure values:
// Session::rest() makes one, a Session made from one goes on. Invariant: what it says of the selected mailbox is what
// the client knows, no more and no less.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/error.h"
#include "imapd/grammar/sequence_set.h"
#include "proto/account.h"
#include "proto/supervise.h"

namespace mox::imapd {

constexpr size_t kMaxRestedUids = 16 * 1024;      // bytes of UIDs of a session
constexpr size_t kMaxRestedMessages = 1'000'000;  // of its mailbox
constexpr size_t kMaxRestedChanges = 100;

/// Messages whose present flags the client knows though it was not told of all changes up to there: it made them.
struct RestedChange {
    uint64_t modseq;
    std::string uids;
};

/// What the client knows of its mailbox.
struct RestedView {
    proto::Mailbox mailbox;
    bool read_only;
    uint64_t told_modseq;
    uint32_t uid_floor;  // what arrives has a UID from here on
    std::string uids;    // of the messages, see pack_uids()
    std::string saved;   // `$`
    std::vector<std::string> keywords;
    bool keywords_changed;              // and the client has not been told
    std::vector<RestedChange> changes;  // above told_modseq

    size_t uid_bytes() const;
};

/// Told first in each state: a program that was replaced meanwhile does not read what it would misunderstand.
constexpr uint32_t kRestVersion = 4;

struct RestedSession {
    uint32_t version;
    std::string login;
    std::string remote_address;
    std::string hostname;
    uint64_t cid;
    uint64_t max_message_size;
    uint32_t message_limit;
    proto::ImapSessionTls tls;
    uint32_t features;  // Features as bits
    uint32_t bad_in_row;
    std::chrono::milliseconds autologout;  // when, by the clock that all processes share (RFC 3501 5.4)
    std::string idle_tag;                  // of the IDLE that goes on; empty: a command is awaited
    std::optional<std::string> window;     // of the client's DEFLATE, see DeflateTransport::rest(); else plain text
    std::optional<RestedView> view;
};

/// Reads what a worker left. Error bad_request for what none leaves: then nothing of it is used.
Result<RestedSession> parse_rested(std::string_view bytes);

/// Ascending ranges as pairs of variable-length numbers, the distance to the one before and the length: a mailbox in
/// which little was expunged takes few bytes.
std::string pack_uids(std::span<const SequenceRange> ranges);
/// Nothing when the bytes are no ascending ranges of UIDs.
std::optional<std::vector<SequenceRange>> unpack_uids(std::string_view bytes);

}  // namespace mox::imapd
