// acl list|set|remove: who may do what with the mailboxes of an account (RFC 4314).
#include <fmt/format.h>

#include "common/mail/rights.h"
#include "moxctl/account_link.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

struct Listed {
    std::string mailbox;
    proto::AclEntry entry;
};

async::Task<void> list_rights(AccountLink& account, std::string mailbox, std::vector<Listed>& listed) {
    std::vector<std::string> names{mailbox};
    if (mailbox.empty()) {
        names.clear();
        auto list = co_await account.ask(proto::ListMailboxes{});
        for (auto& one : list.mailboxes) names.push_back(std::move(one.name));
    }
    for (const auto& name : names) {
        auto acl = co_await account.ask(proto::GetAcl{name});
        for (auto& entry : acl.entries) listed.push_back({name, std::move(entry)});
    }
}

async::Task<void> set_rights(AccountLink& account, proto::SetAcl request) {
    co_await account.ask(std::move(request));
}

void change(Context& context, proto::SetAcl request, const std::string& account) {
    async::Loop loop;
    AccountLink link(context.moxd.open_account(account));
    run_to_end(set_rights(link, std::move(request)));
}

}  // namespace

void cmd_acl_list(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    std::vector<Listed> listed;
    {
        async::Loop loop;
        AccountLink link(context.moxd.open_account(words[0]));
        run_to_end(list_rights(link, words.size() > 1 ? words[1] : std::string(), listed));
    }
    if (context.output.format == Format::json) {
        Json entries = Json::array();
        for (const auto& [mailbox, entry] : listed)
            entries.push_back({{"mailbox", mailbox},
                               {"identifier", entry.identifier},
                               {"rights", mail::rights_letters(entry.rights)}});
        context.output.json({{"entries", entries}});
        return;
    }
    Table table({{"MAILBOX"}, {"WHO"}, {"RIGHTS"}});
    for (const auto& [mailbox, entry] : listed)
        table.add({mailbox, entry.identifier, mail::rights_letters(entry.rights)});
    context.output.raw(table.take());
}

void cmd_acl_set(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    auto rights = mail::parse_rights(words[3]);
    if (!rights || words[3].empty()) throw UsageError("rights are letters out of lrswipkxtecda");
    change(context, {words[1], words[2], proto::AclChange::replace, *rights}, words[0]);
    context.output.say(fmt::format("{} has {} on {}", words[2], mail::rights_letters(*rights), words[1]),
                       Json::object());
}

void cmd_acl_remove(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    change(context, {words[1], words[2], proto::AclChange::replace, 0}, words[0]);
    context.output.say(fmt::format("{} has no entry of its own on {} any more", words[2], words[1]), Json::object());
}

}  // namespace mox::moxctl
