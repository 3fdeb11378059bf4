// recipients: whom an account has written to.
#include <fmt/format.h>

#include "moxctl/account_link.h"
#include "moxctl/command.h"
#include "moxctl/local_time.h"

namespace mox::moxctl {
namespace {

async::Task<void> list_recipients(AccountLink& account, std::vector<proto::KnownRecipient>& all) {
    for (std::string after;; after = all.back().address) {
        auto some = co_await account.ask(proto::ListRecipients{after});
        if (some.recipients.empty()) co_return;
        for (auto& recipient : some.recipients) all.push_back(std::move(recipient));
    }
}

}  // namespace

void cmd_recipients(Context& context, const Arguments& arguments) {
    std::vector<proto::KnownRecipient> all;  // storaged keeps a bounded number
    {
        async::Loop loop;
        AccountLink link(context.moxd.open_account(arguments.words[0]));
        run_to_end(list_recipients(link, all));
    }
    if (context.output.format == Format::json) {
        Json recipients = Json::array();
        for (const auto& r : all) recipients.push_back({{"address", r.address}, {"last", r.last}, {"count", r.count}});
        context.output.json({{"recipients", recipients}});
        return;
    }
    Table table({{"ADDRESS"}, {"LAST"}, {"TIMES", Align::right}});
    for (const auto& r : all) table.add({r.address, local_time(r.last, "%Y-%m-%d"), fmt::to_string(r.count)});
    context.output.raw(all.empty() ? "no recipients\n" : table.take());
}

}  // namespace mox::moxctl
