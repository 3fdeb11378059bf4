// SEARCH and UID SEARCH (RFC 3501 6.4.4, 9051 6.4.4), with the results of RFC 4731, 5182, 9394 and 5267;
// of the last messages only, where there is a limit (RFC 9738).
#include <algorithm>

#include "imapd/worker/commands.h"
#include "imapd/worker/message_limit.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/search_run.h"

namespace mox::imapd {
namespace {

async::Task<std::optional<Cut>> search_messages(Session& session, const Command& command) {
    auto args = co_await prepare_search(session, std::get<SearchArguments>(command.arguments));
    check_update(session, command, args.returns);
    Search search(loosen(args.key), session.view());
    if (search.has_modseq()) session.enable_condstore();
    auto among = searched_rows(args.key, session.view());
    auto cut = cut_to_last(session.view(), among, session.message_limit());
    auto indexes = co_await find_messages(session, session.view(), search, among);
    Found found{session.view(), std::move(indexes), search.has_modseq()};
    if (args.returns.items & kReturnRelevancy)
        found.relevancies = co_await find_relevancies(session, session.view(), args.key, found.indexes);
    if (args.returns.items & kReturnSave) session.view().save(saved_indexes(args.returns, found));
    // RFC 9051 6.4.4: IMAP4rev2 has no other answer than ESEARCH
    bool extended = args.returns.given || session.features().rev2;
    if (cut && !extended) std::ranges::reverse(found.indexes);  // RFC 9738 3.1: from the highest UID to the lowest
    session.stream().write(extended ? extended_answer(command, args.returns, found, session.features())
                                    : plain_answer("SEARCH", found, command.numbers));
    if (cut) args = from_uid(std::move(args), cut->lowest);  // what is kept up to date is what was searched
    start_updates(session, command, args, found.indexes);
    co_return cut;
}

}  // namespace

async::Task<Answer> cmd_search(Session& session, const Command& command) {
    const auto& args = std::get<SearchArguments>(command.arguments);
    std::optional<Cut> cut;
    try {
        cut = co_await search_messages(session, command);
    } catch (const CommandFailed& failed) {
        // RFC 5182 2.1: a NO leaves nothing saved
        if ((args.returns.items & kReturnSave) && failed.answer.status == Answer::Status::no) session.view().save({});
        throw;
    }
    co_return limited(session, {Answer::Status::ok, "searched"}, cut);
}

}  // namespace mox::imapd
