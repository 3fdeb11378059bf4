#include "queued/magic.h"

#include "common/text/ascii.h"

namespace mox::queued {
namespace {

smtp::Outcome reply(uint16_t code) {
    return smtp::from_reply({code, {}, {"failing on purpose, for this recipient in local mode"}}, smtp::Scope::message);
}

}  // namespace

std::optional<smtp::Outcome> magic_outcome(std::string_view recipient) {
    auto localpart = text::to_lower(recipient.substr(0, recipient.rfind('@')));
    if (!localpart.starts_with("queue")) return std::nullopt;
    if (localpart.ends_with("temperror")) return reply(451);
    if (localpart.ends_with("permerror")) return reply(550);
    auto digits = std::string_view(localpart).substr(localpart.size() - 3);
    auto code = text::parse_number<uint16_t>(digits);
    if (code && *code >= 400 && *code <= 599) return reply(*code);
    return std::nullopt;
}

}  // namespace mox::queued
