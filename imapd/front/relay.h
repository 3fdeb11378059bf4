// Copies the bytes of a logged-in client to its worker and back.
#pragma once

#include <optional>
#include <string>

#include "common/async/stream.h"

namespace mox::imapd {

/// Until the worker has ended the session and its last bytes have gone to the client, or nothing moved for `idle`, or
/// the client did not read for `write`. A client that leaves is told to the worker, which then ends. When the worker
/// says on `hand_back` (see proto::StartSession) that the client is to stay: what it sent that the worker did not use.
/// Throws nothing; the streams outlive it.
async::Task<std::optional<std::string>> relay_session(async::Stream& client, async::Stream& worker,
                                                      async::Stream* hand_back, async::Clock::duration idle,
                                                      async::Clock::duration write);

}  // namespace mox::imapd
