// The system call filter: allow-lists by what a Policy grants, everything else kills the process.
#pragma once

#include <string>

#include "common/sandbox/sandbox.h"

namespace mox::sandbox {

/// Loads the filter for this process and all its threads; an empty string, or what went wrong.
std::string filter_system_calls(const Policy& policy);

}  // namespace mox::sandbox
