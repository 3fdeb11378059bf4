// Learning the words of junk and of other mail: reads the messages that storaged says are to be learned, or unlearned,
// and says their words. Behind the answers to clients, of no session.
#pragma once

#include "imapd/worker/account.h"

namespace mox::imapd {

/// Until nothing is left, or storaged does not answer: then it is told of again with the next channel. The account
/// outlives it.
async::Task<void> learn_messages(Account& account);

}  // namespace mox::imapd
