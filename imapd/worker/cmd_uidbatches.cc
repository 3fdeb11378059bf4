// UIDBATCHES (RFC 10022): ranges of UIDs with so many messages each, from the end of the mailbox down to UID 1.
//
// Written from the RFC's abstract, examples and how others read it: its whole text was not at hand.
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

constexpr uint32_t kMinBatch = 500;
constexpr uint32_t kMaxBatches = 20'000;  // named in one command

}  // namespace

async::Task<Answer> cmd_uidbatches(Session& session, const Command& command) {
    const auto& args = std::get<UidBatchesArguments>(command.arguments);
    auto [first, last] = args.batches.value_or(std::pair(1u, kMaxBatches));
    if (args.size < kMinBatch) fail_no("[TOOFEW] batches are of at least " + std::to_string(kMinBatch) + " messages");
    if (first > last) fail_bad("[CLIENTBUG] batches are counted upwards");
    if (last - first >= kMaxBatches) fail_no("[TOOMANY] too many batches");
    auto rows = session.view().rows();
    std::string out = "UIDBATCHES (TAG ";
    mail::append_string(out, command.tag);
    out += ')';
    char before = ' ';
    for (uint64_t batch = first; batch <= last && (batch - 1) * args.size < rows.size(); batch++) {
        size_t end = rows.size() - (batch - 1) * args.size;
        size_t begin = end > args.size ? end - args.size : 0;
        // No UID is left out: between two messages it belongs to the lower batch, below all to the last.
        out += std::exchange(before, ',');
        append_number(out, end == rows.size() ? rows[end - 1].uid : rows[end].uid - 1);
        out += ':';
        append_number(out, begin == 0 ? 1 : rows[begin].uid);
    }
    session.untagged(out);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
