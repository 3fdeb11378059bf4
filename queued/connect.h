// A TCP connection to another host.
#pragma once

#include <string>
#include <vector>

#include "common/async/fd.h"
#include "common/async/loop.h"
#include "common/async/task.h"
#include "common/error.h"

namespace mox::queued {

/// Connects to an address in textual form, from the one of `sources` that is of its family, if any. Errors are
/// temporary and say why in the system's words.
async::Task<Result<Fd>> connect_tcp(std::string address, uint16_t port, std::vector<std::string> sources,
                                    async::Deadline deadline);

}  // namespace mox::queued
