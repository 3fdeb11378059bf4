// junk status|forget|relearn: the words of junk that an account has learned.
#include <fmt/format.h>

#include "moxctl/account_link.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

async::Task<void> get_status(AccountLink& account, proto::JunkStatus& status) {
    status = co_await account.ask(proto::GetJunkStatus{});
}

async::Task<void> reset_words(AccountLink& account, proto::JunkReset reset) {
    co_await account.ask(proto::ResetJunkWords{reset});
}

void reset(Context& context, const std::string& account, proto::JunkReset how, std::string_view done) {
    async::Loop loop;
    AccountLink link(context.moxd.open_account(account));
    run_to_end(reset_words(link, how));
    context.output.say(fmt::format("{}: {}", account, done), Json::object());
}

}  // namespace

void cmd_junk_status(Context& context, const Arguments& arguments) {
    proto::JunkStatus status{};
    async::Loop loop;
    AccountLink link(context.moxd.open_account(arguments.words[0]));
    run_to_end(get_status(link, status));
    context.output.say(
        fmt::format("learned {} messages as junk and {} as not junk: {} words; {} messages wait", status.junk,
                    status.not_junk, status.words, status.waiting),
        {{"junk", status.junk}, {"not_junk", status.not_junk}, {"words", status.words}, {"waiting", status.waiting}});
}

void cmd_junk_forget(Context& context, const Arguments& arguments) {
    reset(context, arguments.words[0], proto::JunkReset::forget, "all that was learned of junk is forgotten");
}

void cmd_junk_relearn(Context& context, const Arguments& arguments) {
    reset(context, arguments.words[0], proto::JunkReset::learn_anew, "junk is learned anew");
}

}  // namespace mox::moxctl
