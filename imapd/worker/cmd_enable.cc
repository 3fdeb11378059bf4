// ENABLE (RFC 5161): IMAP4rev2 (RFC 9051), UTF8=ACCEPT (RFC 6855).
#include <array>

#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

struct Feature {
    std::string_view name;
    bool Features::* flag;
};
constexpr std::array kFeatures = {Feature{"IMAP4REV2", &Features::rev2}, Feature{"UTF8=ACCEPT", &Features::utf8}};

}  // namespace

async::Task<Answer> cmd_enable(Session& session, const Command& command) {
    Features features = session.features();
    std::string out = "ENABLED";
    for (const auto& name : std::get<EnableArguments>(command.arguments).names) {
        for (const auto& feature : kFeatures) {
            // RFC 5161 3.1: what is unknown is ignored, and only what is new is told
            if (feature.name != name || features.*feature.flag) continue;
            features.*feature.flag = true;
            out += ' ' + name;
        }
    }
    session.set_features(features);
    session.untagged(out);
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
