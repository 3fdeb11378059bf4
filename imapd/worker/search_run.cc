#include "imapd/worker/search_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/mail/utf8.h"
#include "common/mail/words.h"
#include "imapd/worker/batches.h"
#include "imapd/worker/message_text.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/vanished.h"

namespace mox::imapd {
namespace {

constexpr size_t kWorthAsking = 32;   // fewer messages are as quickly read
constexpr size_t kManyParses = 1500;  // and fewer parses

// The outcome for each row: the indexes that match, and those that need a closer look.
struct Progress {
    std::vector<char> matches;  // by row index
    std::vector<uint32_t> undecided;
};

void note(Progress& progress, uint32_t index, Match match) {
    if (match == Match::unknown)
        progress.undecided.push_back(index);
    else
        progress.matches[index] = match == Match::yes;
}

// Words for the index: of messages that were read and that it lacks.
class IndexFeeder {
  public:
    explicit IndexFeeder(Session& session) : session_(session) {}
    async::Task<void> add(const StoredMessage& message) {
        MessageText text(message);
        std::string words = mail::word_list(text.source());
        if (message.has_failed()) co_return;  // it has more
        contents_.push_back({message.content().number, std::move(words)});
        bytes_ += contents_.back().words.size();
        if (contents_.size() >= kMaxContents || bytes_ >= kMaxBytes) co_await flush();
    }
    async::Task<void> flush() {
        bytes_ = 0;
        if (contents_.empty()) co_return;
        // Whatever comes of it: the search does not depend on it.
        co_await session_.account().call(proto::IndexWords{std::exchange(contents_, {})});
    }

  private:
    static constexpr size_t kMaxContents = proto::kMaxIndexedAtOnce;
    static constexpr size_t kMaxBytes = 512u << 10;
    Session& session_;
    std::vector<proto::ContentWords> contents_;
    size_t bytes_ = 0;
};

Candidate candidate(const MailboxView& view, uint32_t index, const WordAnswers* words) {
    return {view.rows()[index], nullptr, nullptr, nullptr, words};
}

async::Task<void> decide_by_rows(const MailboxView& view, const Search& search, const Selection& among,
                                 Progress& progress) {
    size_t done = 0;
    for (const auto& range : among) {
        for (uint32_t index = range.begin; index < range.end; index++) {
            note(progress, index, search.decide(candidate(view, index, nullptr)));
            if (++done % 65536 == 0) co_await async::Yield();
        }
    }
}

// Asks the index; nothing when it is not worth it, or fails: then the messages are read.
async::Task<std::optional<WordAnswers>> decide_by_words(Session& session, const MailboxView& view, const Search& search,
                                                        Progress& progress) {
    size_t keys = search.text_keys().size();
    // The index is that of the account, and knows nothing of what others share.
    size_t worth_asking = search.needs_messages() ? kWorthAsking : kManyParses;
    if (keys == 0 || progress.undecided.size() < worth_asking || proto::is_anothers(view.id())) co_return std::nullopt;
    auto found = co_await session.account().call(proto::FindText{search.text_keys()});
    if (!found) co_return std::nullopt;
    auto answers = WordAnswers::load(std::move(*found), keys);
    if (!answers) {
        session.log().warn("the index of words cannot be used", {{"error", answers.error().text}});
        co_return std::nullopt;
    }
    for (uint32_t index : std::exchange(progress.undecided, {})) {
        // What is gone has no text any more.
        bool gone = view.is_gone(view.rows()[index].uid);
        note(progress, index, search.decide(candidate(view, index, gone ? nullptr : &*answers)));
    }
    co_return std::move(*answers);
}

async::Task<void> decide_by_infos(Session& session, const MailboxView& view, const Search& search,
                                  const WordAnswers* words, Progress& progress) {
    const size_t goal = progress.undecided.size();
    size_t done = 0;
    InfoSource source(session, view, to_selection(std::exchange(progress.undecided, {})));
    source.need(mail::InfoNeeds::envelope);
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        co_await session.tell_progress(done, goal);
        done += batch.size();
        for (const auto& row : batch) {
            auto what = candidate(view, row.index, words);
            what.info = &row.info;
            what.content = &row.content;
            note(progress, row.index, search.decide(what));
        }
        co_await async::Yield();
    }
}

async::Task<void> decide_by_files(Session& session, const MailboxView& view, const Search& search,
                                  const WordAnswers* words, Progress& progress) {
    const size_t goal = progress.undecided.size();
    size_t done = 0;
    IndexFeeder feeder(session);
    FileSource source(session, view, to_selection(std::exchange(progress.undecided, {})));
    source.pass_damaged();  // nothing is found in them: the others are worth having, and the client is told
    for (;;) {
        auto batch = co_await source.next();
        if (batch.empty()) break;
        co_await session.tell_progress(done, goal);
        done += batch.size();
        for (const auto& [index, message] : batch) {
            auto what = candidate(view, index, words);
            what.info = &message.info();
            what.content = &message.content();
            what.message = &message;
            note(progress, index, search.decide(what));
            if (words != nullptr && !words->is_indexed(message.content().number)) co_await feeder.add(message);
            co_await async::Yield();  // a large message takes its time: the other sessions have their turn
        }
    }
    co_await feeder.flush();
    // RFC 3501 7.1.2: a warning, the command goes on.
    if (!source.damaged().empty()) session.untagged("NO " + damaged_text(source.damaged()));
}

std::vector<SequenceRange> searched_uids(const SearchKey& key, const MailboxView& view) {
    if (key.kind == SearchKey::Kind::set || key.kind == SearchKey::Kind::uid_set)
        return view.uids_for_search(key.numbers, key.kind == SearchKey::Kind::set ? Numbers::sequence : Numbers::uid);
    std::vector<SequenceRange> uids{{1, UINT32_MAX}};
    if (key.kind != SearchKey::Kind::and_) return uids;
    for (const auto& child : key.children) uids = intersect(uids, searched_uids(child, view));
    return uids;
}

bool has_text(const SearchKey& key, bool (*accept)(std::string_view)) {
    return !accept(key.text) || !accept(key.field) ||
           std::ranges::any_of(key.children, [&](const auto& child) { return has_text(child, accept); });
}

}  // namespace

void check_charset(const SearchArguments& args, const Features& features) {
    if (features.utf8 && !args.charset.empty()) fail_bad("no CHARSET with UTF8=ACCEPT");  // RFC 6855 3
    if (!args.charset.empty() && args.charset != "US-ASCII" && args.charset != "UTF-8")
        fail_no("[BADCHARSET (US-ASCII UTF-8)] charset not supported");  // RFC 3501 6.4.4
    // DEVIATES RFC 3501 6.4.4: without CHARSET too, UTF-8 is taken; there are clients that send it so.
    if (has_text(args.key, mail::is_utf8)) fail_bad("search text is not UTF-8");
}

void check_numbers(const SearchKey& key, const Features& features) {
    if (!features.uidonly) return;
    if (key.kind == SearchKey::Kind::set && !key.numbers.saved) fail_bad("[UIDREQUIRED] message numbers are given up");
    for (const auto& child : key.children) check_numbers(child, features);
}

void check_update(Session& session, const Command& command, const SearchReturns& returns) {
    if (returns.update && session.contexts().has(command.tag)) fail_bad("the tag is in use by another search");
}

void start_updates(Session& session, const Command& command, const SearchArguments& args,
                   const std::vector<uint32_t>& found, std::optional<Sorter> sorter) {
    if (!args.returns.update) return;
    if (args.returns.update_attributes.items & kFetchModSeq) session.enable_condstore();  // RFC 7162 3.1
    bool first = session.contexts().empty();
    if (has_thread(args.key)) return refuse_updates(session, command);
    if (session.contexts().add({command, args, session.view(), session.features(), found, std::move(sorter)})) {
        if (first) session.view().take_touched();  // from now on
        return;
    }
    refuse_updates(session, command);
}

void refuse_updates(Session& session, const Command& command) {
    std::string out = "NO [NOUPDATE ";
    mail::append_string(out, command.tag);
    session.untagged(out + "] this search, or so many, cannot be kept up to date");
}

Selection searched_rows(const SearchKey& key, const MailboxView& view) {
    return view.select({searched_uids(key, view)}, Numbers::uid);
}

SearchArguments from_uid(SearchArguments args, uint32_t first) {
    SearchKey both;
    both.kind = SearchKey::Kind::and_;
    both.children.resize(2);
    both.children[0].kind = SearchKey::Kind::uid_set;
    both.children[0].numbers.ranges = {{first, 0}};
    both.children[1] = std::move(args.key);
    args.key = std::move(both);
    return args;
}

async::Task<std::vector<uint32_t>> find_messages(Session& session, const MailboxView& view, const Search& search,
                                                 const Selection& among) {
    Progress progress;
    progress.matches.resize(view.rows().size());
    co_await decide_by_rows(view, search, among, progress);
    auto answers = co_await decide_by_words(session, view, search, progress);
    const WordAnswers* words = answers ? &*answers : nullptr;
    if (!progress.undecided.empty() && search.needs_infos())
        co_await decide_by_infos(session, view, search, words, progress);
    if (!progress.undecided.empty()) co_await decide_by_files(session, view, search, words, progress);
    std::vector<uint32_t> found;
    for (uint32_t index = 0; index < progress.matches.size(); index++)
        if (progress.matches[index]) found.push_back(index);
    co_return found;
}

}  // namespace mox::imapd
