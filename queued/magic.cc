#include "queued/magic.h"

#include "common/text/magic.h"

namespace mox::queued {
namespace {

smtp::Outcome reply(uint16_t code) {
    return smtp::from_reply({code, {}, {"failing on purpose, for this recipient in local mode"}}, smtp::Scope::message);
}

}  // namespace

std::optional<smtp::Outcome> magic_outcome(std::string_view recipient) {
    auto magic = text::parse_magic(recipient.substr(0, recipient.rfind('@')));
    if (!magic || magic->stage != text::MagicStage::queue || magic->code == 0) return std::nullopt;
    return reply(static_cast<uint16_t>(magic->code));
}

}  // namespace mox::queued
