// ESEARCH (RFC 7377): searching several mailboxes, one after the other, each with an answer of its own.
//
// One mailbox at a time is in memory. The selected one is searched as the session knows it, the others as they are.
#include <algorithm>
#include <set>

#include "imapd/worker/commands.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/search_run.h"

namespace mox::imapd {
namespace {

bool is_searched(const std::vector<MailboxFilter>& sources, const std::string& name, bool subscribed) {
    return std::ranges::any_of(sources, [&](const auto& filter) { return matches(filter, name, subscribed); });
}

bool names_selected(const EsearchArguments& args) {
    return args.sources.empty() || std::ranges::any_of(args.sources, &MailboxFilter::is_selected);
}

// RFC 7377 2.2
void check_sources(Session& session, const Command& command, const EsearchArguments& args) {
    const auto& returns = args.search.returns;
    if (names_selected(args) && !session.selected()) fail_bad("no mailbox is selected");
    if (returns.update && !session.selected()) fail_bad("UPDATE is for the selected mailbox");
    bool others = std::ranges::any_of(args.sources, [](const auto& filter) { return !filter.is_selected(); });
    if ((returns.items & kReturnSave) && others) fail_bad("SAVE is for the selected mailbox alone");
    check_update(session, command, returns);
}

async::Task<std::vector<uint32_t>> search_one(Session& session, const Command& command, const SearchArguments& args,
                                              const MailboxView& view) {
    Search search(loosen(args.key), view);
    if (search.has_modseq()) session.enable_condstore();
    Selection all;
    if (!view.rows().empty()) all.push_back({0, static_cast<uint32_t>(view.rows().size())});
    Found found{view, co_await find_messages(session, view, search, all), search.has_modseq()};
    if (args.returns.items & kReturnRelevancy)
        found.relevancies = co_await find_relevancies(session, view, args.key, found.indexes);
    // RFC 7377 2.1: nothing of mailboxes without a match, whatever was asked for
    if (!found.indexes.empty())
        session.stream().write(extended_answer(command, args.returns, found, session.features()));
    co_await session.flush_some();
    co_return std::move(found.indexes);
}

async::Task<void> search_selected(Session& session, const Command& command, const SearchArguments& args) {
    auto indexes = co_await search_one(session, command, args, session.view());
    if (args.returns.items & kReturnSave)
        session.view().save(saved_indexes(args.returns, {session.view(), indexes, false}));
    start_updates(session, command, args, indexes);
}

// The names to be searched, by name; the selected mailbox not among them.
async::Task<std::vector<std::string>> find_mailboxes(Session& session, const EsearchArguments& args, bool& selected) {
    std::vector<std::string> names;
    if (std::ranges::all_of(args.sources, &MailboxFilter::is_selected)) co_return names;
    auto list = co_await session.ask(proto::ListMailboxes{});
    std::set<std::string> subscribed(list.subscribed.begin(), list.subscribed.end());
    for (const auto& mailbox : list.mailboxes) {
        if (!is_searched(args.sources, mailbox.name, subscribed.contains(mailbox.name))) continue;
        if ((mailbox.rights & proto::kReadRight) == 0) continue;  // RFC 7377 2.2
        if (session.selected() && session.view().id() == mailbox.id)
            selected = true;
        else
            names.push_back(mailbox.name);
    }
    co_return names;
}

async::Task<void> search_other(Session& session, const Command& command, const SearchArguments& args,
                               std::string name) {
    auto columns = co_await session.account().call(proto::OpenMailbox{std::move(name)});
    bool gone = !columns && (columns.error().code == ErrorCode::not_found || columns.error().code == ErrorCode::denied);
    if (gone) co_return;  // since it was listed
    if (!columns) fail_storage(columns.error(), "NONEXISTENT");
    auto view = MailboxView::load(std::move(*columns), Access::read_only);
    if (!view) fail_no("[SERVERBUG] a mailbox cannot be opened");
    co_await search_one(session, command, args, *view);
}

}  // namespace

async::Task<Answer> cmd_esearch(Session& session, const Command& command) {
    const auto& args = std::get<EsearchArguments>(command.arguments);
    check_sources(session, command, args);
    auto search = co_await prepare_search(session, args.search);
    bool selected = names_selected(args);
    auto names = co_await find_mailboxes(session, args, selected);
    try {
        if (selected) co_await search_selected(session, command, search);
    } catch (const CommandFailed& failed) {
        // RFC 5182 2.1: a NO leaves nothing saved
        if ((args.search.returns.items & kReturnSave) && failed.answer.status == Answer::Status::no)
            session.view().save({});
        throw;
    }
    for (const auto& name : names) {
        if (session.ending()) break;
        co_await search_other(session, command, search, name);
    }
    if (args.search.returns.update && !selected) refuse_updates(session, command);
    co_return Answer{Answer::Status::ok, "searched"};
}

}  // namespace mox::imapd
