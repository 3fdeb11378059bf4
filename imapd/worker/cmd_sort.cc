// SORT and THREAD, UID SORT and UID THREAD (RFC 5256), with results of RFC 5267 (ESORT, CONTEXT=SORT).
#include <algorithm>

#include "imapd/worker/batches.h"
#include "imapd/worker/commands.h"
#include "imapd/worker/message_limit.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/search_run.h"
#include "imapd/worker/sorting.h"
#include "imapd/worker/threading.h"

namespace mox::imapd {
namespace {

enum class Relevancy : uint8_t { unwanted, wanted };

// What is found, and whether a key spoke of modseqs.
// `args` outlives the task. The order of some of the messages would tell nothing of that of all.
async::Task<Found> find(Session& session, const SearchArguments& args, Relevancy relevancy) {
    Search search(loosen(args.key), session.view());
    if (search.has_modseq()) session.enable_condstore();
    auto among = searched_rows(args.key, session.view());
    if (count(among) > session.message_limit())  // RFC 9738 3.3
        fail_no(message_limit_code(session.message_limit()) + "too many messages for an order of all");
    auto indexes = co_await find_messages(session, session.view(), search, among);
    Found found{session.view(), std::move(indexes), search.has_modseq()};
    if (relevancy == Relevancy::wanted)
        found.relevancies = co_await find_relevancies(session, session.view(), args.key, found.indexes);
    co_return found;
}

async::Task<Sorter> sort(Session& session, const Found& found, std::vector<SortKey> keys) {
    const auto& indexes = found.indexes;
    bool infos = std::ranges::any_of(keys, needs_info);
    Sorter sorter(std::move(keys), found.relevancies);
    if (infos) {
        InfoSource source(session, to_selection(indexes));
        source.need(mail::InfoNeeds::envelope);
        size_t done = 0;
        for (auto batch = co_await source.next(); !batch.empty(); batch = co_await source.next()) {
            co_await session.tell_progress(done, indexes.size());
            done += batch.size();
            for (const auto& item : batch) sorter.add(item.index, session.view().rows()[item.index], &item.info);
            co_await async::Yield();
        }
    } else {
        for (uint32_t index : indexes) sorter.add(index, session.view().rows()[index], nullptr);
    }
    sorter.sort();
    co_return sorter;
}

// The id in a Message-ID or the first of In-Reply-To, without <>.
std::string first_id(const std::optional<std::string>& field) {
    if (!field) return {};
    auto begin = field->find('<');
    auto end = field->find('>', begin == std::string::npos ? 0 : begin);
    if (begin == std::string::npos || end == std::string::npos) return {};
    return field->substr(begin + 1, end - begin - 1);
}

ThreadMessage thread_message(uint32_t index, const proto::MessageRow& row, const mail::MessageInfo& info) {
    ThreadMessage message{index, sent_date(row, &info), {}, {}, info.references};
    if (!info.parts[0].envelope) return message;
    const auto& envelope = info.envelopes[*info.parts[0].envelope];
    message.subject = base_subject(envelope.subject.value_or(""));
    message.id = first_id(envelope.message_id);
    // RFC 5256 3: without References the first id of In-Reply-To
    if (message.references.empty())
        if (auto id = first_id(envelope.in_reply_to); !id.empty()) message.references.push_back(std::move(id));
    return message;
}

async::Task<std::vector<ThreadMessage>> read_messages(Session& session, std::vector<uint32_t> indexes) {
    std::vector<ThreadMessage> messages;
    InfoSource source(session, to_selection(indexes));
    for (auto batch = co_await source.next(); !batch.empty(); batch = co_await source.next()) {
        co_await session.tell_progress(messages.size(), indexes.size());
        for (const auto& item : batch)
            messages.push_back(thread_message(item.index, session.view().rows()[item.index], item.info));
        co_await async::Yield();
    }
    co_return messages;
}

async::Task<void> sort_messages(Session& session, const Command& command) {
    const auto& args = std::get<SortArguments>(command.arguments);
    auto search = co_await prepare_search(session, args.search);
    const auto& returns = search.returns;
    check_update(session, command, returns);
    bool by_relevancy = std::ranges::any_of(args.keys, [](auto key) { return key.kind == SortKey::Kind::relevancy; });
    if (by_relevancy && !is_fuzzy(search.key)) fail_bad("RELEVANCY is for FUZZY searches");  // RFC 6203 6
    bool wanted = by_relevancy || (returns.items & kReturnRelevancy) != 0;
    auto found = co_await find(session, search, wanted ? Relevancy::wanted : Relevancy::unwanted);
    auto sorter = co_await sort(session, found, args.keys);
    found.indexes = sorter.order();
    if (returns.items & kReturnSave) session.view().save(saved_indexes(returns, found));
    if (returns.given)
        session.stream().write(extended_answer(command, returns, found, session.features()));
    else
        session.stream().write(plain_answer("SORT", found, command.numbers));
    if (!returns.update) co_return;
    if (by_relevancy) co_return refuse_updates(session, command);  // what comes would have to be ranked
    std::ranges::sort(found.indexes);
    sorter.renumber([&](uint32_t index) { return session.view().rows()[index].uid; });
    start_updates(session, command, search, found.indexes, std::move(sorter));
}

}  // namespace

async::Task<Answer> cmd_sort(Session& session, const Command& command) {
    const auto& args = std::get<SortArguments>(command.arguments);
    try {
        co_await sort_messages(session, command);
    } catch (const CommandFailed& failed) {
        // RFC 5182 2.1: a NO leaves nothing saved
        bool saves = (args.search.returns.items & kReturnSave) != 0;
        if (saves && failed.answer.status == Answer::Status::no) session.view().save({});
        throw;
    }
    co_return Answer{Answer::Status::ok, "sorted"};
}

async::Task<Answer> cmd_thread(Session& session, const Command& command) {
    const auto& args = std::get<ThreadArguments>(command.arguments);
    auto search = co_await prepare_search(session, args.search);
    auto found = co_await find(session, search, Relevancy::unwanted);
    auto messages = co_await read_messages(session, std::move(found.indexes));
    auto threads = args.algorithm == ThreadArguments::Algorithm::references ? thread_by_references(messages)
                                                                            : thread_by_subject(messages);
    auto text = write_threads(threads, messages, [&](uint32_t index) {
        return command.numbers == Numbers::uid ? session.view().rows()[index].uid : index + 1;
    });
    session.untagged(text.empty() ? "THREAD" : "THREAD " + text);  // RFC 5256 4
    co_return Answer{Answer::Status::ok, "threaded"};
}

}  // namespace mox::imapd
