// ENABLE (RFC 5161): IMAP4rev2 (RFC 9051), UTF8=ACCEPT (RFC 6855), CONDSTORE and QRESYNC (RFC 7162), UIDONLY (RFC
// 9586).
#include <array>

#include "common/text/ascii.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {
namespace {

struct Feature {
    std::string_view name;
    bool Features::* flag;
};
constexpr std::array kFeatures = {Feature{"IMAP4rev2", &Features::rev2}, Feature{"UTF8=ACCEPT", &Features::utf8},
                                  Feature{"CONDSTORE", &Features::condstore}, Feature{"QRESYNC", &Features::qresync},
                                  Feature{"UIDONLY", &Features::uidonly}};

}  // namespace

async::Task<Answer> cmd_enable(Session& session, const Command& command) {
    Features features = session.features();
    std::string out = "ENABLED";
    for (const auto& name : std::get<EnableArguments>(command.arguments).names) {
        for (const auto& feature : kFeatures) {
            // RFC 5161 3.1: what is unknown is ignored, and only what is new is told
            if (!text::iequals(feature.name, name) || features.*feature.flag) continue;
            features.*feature.flag = true;
            out += ' ';
            out += feature.name;
        }
    }
    bool condstore = features.condstore || features.qresync;  // RFC 7162 3.2.3: QRESYNC brings it along
    features.condstore = session.features().condstore;
    session.set_features(features);
    session.untagged(out);
    if (condstore) session.enable_condstore();
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
