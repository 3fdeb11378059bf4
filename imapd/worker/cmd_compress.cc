// COMPRESS DEFLATE (RFC 4978). Done here and not in the front, which only relays: what is compressed is this session's.
#include "imapd/worker/commands.h"

namespace mox::imapd {

async::Task<Answer> cmd_compress(Session& session, const Command& command) {
    if (std::get<CompressArguments>(command.arguments).mechanism != "DEFLATE") fail_bad("unknown mechanism");
    // RFC 4978 3
    if (session.is_compressed()) fail_no("[COMPRESSIONACTIVE] DEFLATE is active");
    // RFC 4978 3: the client waits for the answer; what it sent already cannot be told from compressed bytes
    if (!session.stream().buffered().empty()) fail_bad("text behind COMPRESS");
    session.compress_after_answer();
    co_return Answer{Answer::Status::ok, "DEFLATE active"};
}

}  // namespace mox::imapd
