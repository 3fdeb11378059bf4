// sessions list|end: who is logged in with a browser.
#include <fmt/format.h>

#include "common/text/ascii.h"
#include "moxctl/account_link.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

std::string_view to_string(proto::WebSessionKind kind) {
    return kind == proto::WebSessionKind::webmail ? "webmail" : "account";
}

async::Task<void> list_sessions(AccountLink& account, proto::WebSessions& list) {
    list = co_await account.ask(proto::ListWebSessions{});
}

async::Task<void> end_sessions(AccountLink& account, uint64_t id) {
    co_await account.ask(proto::RemoveWebSessions{id});
}

Json to_json(const proto::WebSession& s) {
    return {{"id", s.id},
            {"kind", to_string(s.kind)},
            {"created", s.created},
            {"last_used", s.last_used},
            {"remote_address", s.remote_address},
            {"user_agent", s.user_agent}};
}

}  // namespace

void cmd_sessions_list(Context& context, const Arguments& arguments) {
    proto::WebSessions list;
    {
        async::Loop loop;
        AccountLink link(context.moxd.open_account(arguments.words[0]));
        run_to_end(list_sessions(link, list));
    }
    if (context.output.format == Format::json) {
        Json sessions = Json::array();
        for (const auto& session : list.sessions) sessions.push_back(to_json(session));
        context.output.json({{"sessions", sessions}});
        return;
    }
    Table table({{"ID", Align::right}, {"KIND"}, {"BEGUN"}, {"LAST USED"}, {"FROM"}, {"BROWSER"}});
    for (const auto& s : list.sessions)
        table.add({fmt::to_string(s.id), std::string(to_string(s.kind)), local_time(s.created), local_time(s.last_used),
                   s.remote_address, s.user_agent});
    context.output.raw(list.sessions.empty() ? "no sessions\n" : table.take());
}

void cmd_sessions_end(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    std::optional<uint64_t> id = words[1] == "all" ? 0 : text::parse_number<uint64_t>(words[1]);
    if (!id || (*id == 0 && words[1] != "all"))
        throw UsageError("a session has a number, see \"moxctl sessions list\"");
    async::Loop loop;
    AccountLink link(context.moxd.open_account(words[0]));
    run_to_end(end_sessions(link, *id));
    context.output.say(
        *id == 0 ? fmt::format("all sessions of {} have ended", words[0]) : fmt::format("session {} has ended", *id),
        Json::object());
}

}  // namespace mox::moxctl
