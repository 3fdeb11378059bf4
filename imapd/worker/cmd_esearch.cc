// ESEARCH (RFC 7377): searching several mailboxes, one after the other, each with an answer of its own.
//
// One mailbox at a time is in memory. The selected one is searched as the session knows it, the others as they are.
// A message limit (RFC 9738) is for all mailboxes together. In a single one the last messages are searched, as SEARCH
// does; of several, of which the answer could not tell where to go on, the one that would be too much is not searched.
#include <algorithm>
#include <set>

#include "imapd/worker/commands.h"
#include "imapd/worker/message_limit.h"
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

// How many messages the command may still search.
class Room {
  public:
    Room(size_t limit, size_t mailboxes) : limit_(limit), left_(limit), mailboxes_(mailboxes) {}

    void take(const MailboxView& view, Selection& among) {
        if (mailboxes_ == 1) cut_ = cut_to_last(view, among, limit_);
        if (count(among) > left_) fail_no(message_limit_code(limit_) + "too many messages in all these mailboxes");
        left_ -= count(among);
    }
    const std::optional<Cut>& cut() const { return cut_; }

  private:
    size_t limit_;
    size_t left_;
    size_t mailboxes_;
    std::optional<Cut> cut_;
};

// All that is passed outlives the task.
async::Task<std::vector<uint32_t>> search_one(Session& session, const Command& command, const SearchArguments& args,
                                              const MailboxView& view, Room& room) {
    auto among = searched_rows(args.key, view);
    room.take(view, among);
    Search search(loosen(args.key), view);
    if (search.has_modseq()) session.enable_condstore();
    Found found{view, co_await find_messages(session, view, search, among), search.has_modseq()};
    if (args.returns.items & kReturnRelevancy)
        found.relevancies = co_await find_relevancies(session, view, args.key, found.indexes);
    // RFC 7377 2.1: nothing of mailboxes without a match, whatever was asked for
    if (!found.indexes.empty())
        session.stream().write(extended_answer(command, args.returns, found, session.features()));
    co_await session.flush_some();
    co_return std::move(found.indexes);
}

async::Task<void> search_selected(Session& session, const Command& command, SearchArguments args, Room& room) {
    auto indexes = co_await search_one(session, command, args, session.view(), room);
    if (args.returns.items & kReturnSave)
        session.view().save(saved_indexes(args.returns, {session.view(), indexes, false}));
    if (room.cut()) args = from_uid(std::move(args), room.cut()->lowest);
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

async::Task<void> search_other(Session& session, const Command& command, const SearchArguments& args, std::string name,
                               Room& room) {
    auto columns = co_await session.account().call(proto::OpenMailbox{std::move(name)});
    bool gone = !columns && (columns.error().code == ErrorCode::not_found || columns.error().code == ErrorCode::denied);
    if (gone) co_return;  // since it was listed
    if (!columns) fail_storage(columns.error(), "NONEXISTENT");
    auto view = MailboxView::load(std::move(*columns), Access::read_only);
    if (!view) fail_no("[SERVERBUG] a mailbox cannot be opened");
    co_await search_one(session, command, args, *view, room);
}

}  // namespace

async::Task<Answer> cmd_esearch(Session& session, const Command& command) {
    const auto& args = std::get<EsearchArguments>(command.arguments);
    check_sources(session, command, args);
    auto search = co_await prepare_search(session, args.search);
    bool selected = names_selected(args);
    auto names = co_await find_mailboxes(session, args, selected);
    Room room(session.message_limit(), names.size() + (selected ? 1 : 0));
    try {
        if (selected) co_await search_selected(session, command, search, room);
        for (const auto& name : names) {
            if (session.ending()) break;
            co_await search_other(session, command, search, name, room);
        }
    } catch (const CommandFailed& failed) {
        // RFC 5182 2.1: a NO leaves nothing saved
        if ((args.search.returns.items & kReturnSave) && failed.answer.status == Answer::Status::no)
            session.view().save({});
        session.contexts().cancel(command.tag);  // nor anything that is kept up to date
        throw;
    }
    if (args.search.returns.update && !selected) refuse_updates(session, command);
    co_return limited(session, {Answer::Status::ok, "searched"}, room.cut());
}

}  // namespace mox::imapd
