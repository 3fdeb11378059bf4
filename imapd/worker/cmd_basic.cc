// CAPABILITY, NOOP, CHECK, LOGOUT (RFC 3501 6.1, 6.4.1), ID (RFC 2971), NAMESPACE (RFC 2342), LANGUAGE (RFC 5255 3).
#include "imapd/grammar/language.h"
#include "imapd/worker/commands.h"

namespace mox::imapd {

async::Task<Answer> cmd_capability(Session& session, const Command&) {
    session.untagged("CAPABILITY " + capabilities(session.offer()));
    co_return Answer{Answer::Status::ok, "that is all"};
}

// RFC 3501 6.1.2, 6.4.1: also a poll for news. All that was acknowledged is durable already, so CHECK has no more to
// do.
async::Task<Answer> cmd_noop(Session& session, const Command& command) {
    session.expect_news();
    co_return Answer{Answer::Status::ok, command.verb == Verb::check ? "checked" : "done"};
}

async::Task<Answer> cmd_logout(Session& session, const Command&) {
    session.untagged("BYE see you");  // RFC 3501 6.1.3: BYE stands before the tagged OK
    session.log_out();
    co_return Answer{Answer::Status::ok, "logged out"};
}

async::Task<Answer> cmd_id(Session& session, const Command& command) {
    session.log().info("client identified", {{"client", client_name(std::get<IdArguments>(command.arguments))}});
    session.untagged(R"(ID ("name" "mox" "version" ")" MOX_VERSION R"("))");
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_language(Session& session, const Command& command) {
    auto answer = language_answer(std::get<LanguageArguments>(command.arguments).ranges);
    if (!answer) fail_no("no such language");
    session.untagged(*answer);
    co_return Answer{Answer::Status::ok, "done"};
}

async::Task<Answer> cmd_namespace(Session& session, const Command&) {
    // RFC 2342 5: what others share has a name of its own in front
    session.untagged(R"(NAMESPACE (("" "/")) ((")" + std::string(proto::kOthers) + R"(" "/")) NIL)");
    co_return Answer{Answer::Status::ok, "done"};
}

}  // namespace mox::imapd
