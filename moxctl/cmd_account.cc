// account add|remove|list, password.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "moxctl/command.h"

namespace mox::moxctl {

void cmd_account_add(Context& context, const Arguments& arguments) {
    const std::string& name = arguments.words[0];
    ipc::Secret password = context.passwords.read();
    bool with_password = !password.value.empty();
    context.moxd.call(proto::CtlAccountAdd{name, arguments.words[1], std::move(password)});
    std::string line = fmt::format("account {} added", name);
    if (!with_password) line += fmt::format("; it cannot log in before \"moxctl password {}\"", name);
    context.output.say(line, Json::object());
}

void cmd_account_remove(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlAccountRemove{arguments.words[0]});
    context.output.say(fmt::format("account {} removed", arguments.words[0]), Json::object());
}

void cmd_account_list(Context& context, const Arguments&) {
    auto list = context.moxd.call(proto::CtlAccountList{});
    if (context.output.format == Format::json) {
        Json accounts = Json::array();
        for (const auto& a : list.accounts)
            accounts.push_back({{"name", a.name},
                                {"addresses", a.addresses},
                                {"quota", a.quota},
                                {"login_disabled", a.login_disabled}});
        context.output.json({{"accounts", accounts}});
        return;
    }
    Table table({{"ACCOUNT"}, {"QUOTA", Align::right}, {"LOGIN"}, {"ADDRESSES"}});
    for (const auto& a : list.accounts)
        table.add({a.name, a.quota > 0 ? human_size(a.quota) : "", a.login_disabled.empty() ? "yes" : "disabled",
                   fmt::format("{}", fmt::join(a.addresses, ", "))});
    context.output.raw(table.take());
}

void cmd_password(Context& context, const Arguments& arguments) {
    ipc::Secret password = context.passwords.read();
    if (password.value.empty())
        throw Failed(Error{Persistence::permanent, ErrorCode::bad_request, "no password was given"});
    context.moxd.call(proto::CtlPassword{arguments.words[0], std::move(password)});
    context.output.say(fmt::format("password of {} set", arguments.words[0]), Json::object());
}

}  // namespace mox::moxctl
