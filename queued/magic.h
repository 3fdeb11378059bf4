// Recipients of local mode whose delivery fails on purpose, to try out what programs do then.
#pragma once

#include <optional>
#include <string_view>

#include "common/smtp/outcome.h"

namespace mox::queued {

/// `queue...temperror`, `queue...permerror` and `queue...` with a reply code from 400 to 599 at the end of the local
/// part.
std::optional<smtp::Outcome> magic_outcome(std::string_view recipient);

}  // namespace mox::queued
