// SEARCH and UID SEARCH (RFC 3501 6.4.4, 9051 6.4.4), with the results of RFC 4731, 5182, 9394 and 5267.
#include "imapd/worker/commands.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/search_run.h"

namespace mox::imapd {
namespace {

async::Task<void> search_messages(Session& session, const Command& command) {
    auto args = co_await prepare_search(session, std::get<SearchArguments>(command.arguments));
    check_update(session, command, args.returns);
    Search search(loosen(args.key), session.view());
    if (search.has_modseq()) session.enable_condstore();
    Found found{session.view(), co_await find_messages(session, search), search.has_modseq()};
    if (args.returns.items & kReturnRelevancy)
        found.relevancies = co_await find_relevancies(session, session.view(), args.key, found.indexes);
    if (args.returns.items & kReturnSave) session.view().save(saved_indexes(args.returns, found));
    // RFC 9051 6.4.4: IMAP4rev2 has no other answer than ESEARCH
    if (args.returns.given || session.features().rev2)
        session.stream().write(extended_answer(command, args.returns, found, session.features()));
    else
        session.stream().write(plain_answer("SEARCH", found, command.numbers));
    start_updates(session, command, args, found.indexes);
}

}  // namespace

async::Task<Answer> cmd_search(Session& session, const Command& command) {
    const auto& args = std::get<SearchArguments>(command.arguments);
    try {
        co_await search_messages(session, command);
    } catch (const CommandFailed& failed) {
        // RFC 5182 2.1: a NO leaves nothing saved
        if ((args.returns.items & kReturnSave) && failed.answer.status == Answer::Status::no) session.view().save({});
        throw;
    }
    co_return Answer{Answer::Status::ok, "searched"};
}

}  // namespace mox::imapd
