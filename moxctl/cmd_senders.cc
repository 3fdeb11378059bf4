// senders list|forget: what an account knows of those whose mail has come.
#include <fmt/format.h>

#include "moxctl/account_link.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

std::string_view to_string(proto::SenderFacet facet) {
    using enum proto::SenderFacet;
    switch (facet) {
        case from:
            return "from";
        case from_domain:
            return "from-domain";
        case organization:
            return "organization";
        case mail_from:
            return "envelope";
        case mail_from_domain:
            return "envelope-domain";
        case ehlo:
            return "ehlo";
        case signed_by:
            return "signed-by";
        case address:
            return "address";
        case network:
            return "network";
        case wide_network:
            return "wide-network";
        case kEnd:
            break;
    }
    return "?";
}

std::string_view to_string(proto::Opinion opinion) {
    using enum proto::Opinion;
    switch (opinion) {
        case not_junk:
            return "not junk";
        case junk:
            return "junk";
        case filed_as_junk:
            return "filed as junk";
        case none:
        case kEnd:
            break;
    }
    return "none";
}

async::Task<void> list_senders(AccountLink& account, std::vector<proto::KnownSender>& all) {
    for (std::string after;; after = all.back().address) {
        auto some = co_await account.ask(proto::ListSenders{after});
        if (some.senders.empty()) co_return;
        for (auto& sender : some.senders) all.push_back(std::move(sender));
    }
}

async::Task<void> find_sender(AccountLink& account, std::string who, proto::SenderHistories& found) {
    found = co_await account.ask(proto::FindSender{std::move(who)});
}

async::Task<void> forget_senders(AccountLink& account, std::string who, uint64_t& messages) {
    messages = (co_await account.ask(proto::ForgetSenders{std::move(who)})).messages;
}

void show_senders(Output& output, const std::vector<proto::KnownSender>& all) {
    if (output.format == Format::json) {
        Json senders = Json::array();
        for (const auto& s : all)
            senders.push_back({{"address", s.address},
                               {"messages", s.messages},
                               {"junk", s.junk},
                               {"not_junk", s.not_junk},
                               {"last", s.last}});
        return output.json({{"senders", senders}});
    }
    Table table(
        {{"ADDRESS"}, {"MESSAGES", Align::right}, {"JUNK", Align::right}, {"NOT JUNK", Align::right}, {"LAST"}});
    for (const auto& s : all)
        table.add({printable(s.address), fmt::to_string(s.messages), fmt::to_string(s.junk), fmt::to_string(s.not_junk),
                   local_day(s.last)});
    output.raw(all.empty() ? "no senders\n" : table.take());
}

Json to_json(const proto::SenderHistory& history) {
    Json latest = Json::array();
    for (const auto& outcome : history.latest)
        latest.push_back({{"stored", outcome.stored},
                          {"opinion", to_string(outcome.opinion)},
                          {"verified", (outcome.verified & proto::kFromVerified) != 0},
                          {"from", outcome.from}});
    return {{"facet", to_string(history.facet)},
            {"value", history.value},
            {"messages", history.messages},
            {"junk", history.junk},
            {"not_junk", history.not_junk},
            {"filed_as_junk", history.filed_as_junk},
            {"last", history.last},
            {"latest", latest}};
}

void show_histories(Output& output, const std::vector<proto::SenderHistory>& facets) {
    if (output.format == Format::json) {
        Json list = Json::array();
        for (const auto& history : facets) list.push_back(to_json(history));
        return output.json({{"facets", list}});
    }
    Table table({{"FACET"},
                 {"VALUE"},
                 {"MESSAGES", Align::right},
                 {"JUNK", Align::right},
                 {"NOT JUNK", Align::right},
                 {"FILED", Align::right},
                 {"LAST"}});
    for (const auto& h : facets)
        table.add({std::string(to_string(h.facet)), printable(h.value), fmt::to_string(h.messages),
                   fmt::to_string(h.junk), fmt::to_string(h.not_junk), fmt::to_string(h.filed_as_junk),
                   local_day(h.last)});
    output.raw(facets.empty() ? "not known\n" : table.take());
}

}  // namespace

void cmd_senders_list(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    async::Loop loop;
    AccountLink link(context.moxd.open_account(words[0]));
    if (words.size() > 1) {
        proto::SenderHistories found;
        run_to_end(find_sender(link, words[1], found));
        return show_histories(context.output, found.facets);
    }
    std::vector<proto::KnownSender> all;  // storaged keeps a bounded number
    run_to_end(list_senders(link, all));
    show_senders(context.output, all);
}

void cmd_senders_forget(Context& context, const Arguments& arguments) {
    const auto& words = arguments.words;
    if (words[1].empty()) throw UsageError("whose messages are to be forgotten?");
    uint64_t messages = 0;
    async::Loop loop;
    AccountLink link(context.moxd.open_account(words[0]));
    run_to_end(forget_senders(link, words[1] == "all" ? std::string() : words[1], messages));
    context.output.say(fmt::format("the senders of {} messages are forgotten", messages), {{"messages", messages}});
}

}  // namespace mox::moxctl
