// Copies the bytes of a logged-in client to its worker and back.
#pragma once

#include "common/async/stream.h"

namespace mox::imapd {

/// Until the worker has ended the session and its last bytes have gone to the client, or nothing moved for `idle`, or
/// the client did not read for `write`. A client that leaves is told to the worker, which then ends. Throws nothing;
/// both streams outlive it.
async::Task<void> relay_session(async::Stream& client, async::Stream& worker, async::Clock::duration idle,
                                async::Clock::duration write);

}  // namespace mox::imapd
