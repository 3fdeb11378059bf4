#include "imapd/worker/search_context.h"

#include <algorithm>
#include <map>

#include "imapd/worker/batches.h"
#include "imapd/worker/fetch_run.h"
#include "imapd/worker/search.h"
#include "imapd/worker/search_answer.h"
#include "imapd/worker/search_program.h"
#include "imapd/worker/search_run.h"
#include "imapd/worker/session.h"

namespace mox::imapd {
namespace {

bool has_attributes(const FetchAttributes& attributes) {
    return attributes.items != 0 || !attributes.sections.empty();
}

// RFC 5465 7: one FETCH for all who want something of a message
void merge(FetchAttributes& into, const FetchAttributes& more) {
    into.items |= more.items;
    for (const auto& section : more.sections)
        if (std::ranges::find(into.sections, section.label, &Section::label) == into.sections.end())
            into.sections.push_back(section);
}

size_t text_bytes(const SearchKey& key) {
    size_t bytes = key.text.size() + key.field.size();
    for (const auto& child : key.children) bytes += text_bytes(child);
    return bytes;
}

// What stands in ADDTO and REMOVEFROM: positions and sets, neighbours in one set (RFC 5267 4.3.3).
class Pairs {
  public:
    void add(size_t position, uint32_t number) {
        if (!open_ || position != next_) flush(position);
        set_.add(number);
        next_++;
    }
    // Removed one after the other from the same place.
    void remove(size_t position, uint32_t number) {
        if (!open_ || position != next_) flush(position);
        set_.add(number);
    }
    std::string take() {
        flush(0);
        return std::move(out_);
    }

  private:
    void flush(size_t position) {
        if (open_) out_ += set_.take();
        open_ = position != 0;
        next_ = position;
        if (open_) out_ += (out_.empty() ? "" : " ") + std::to_string(position) + ' ';
    }
    SetWriter set_;
    std::string out_;
    size_t next_ = 0;
    bool open_ = false;
};

}  // namespace

SearchKey freeze_numbers(SearchKey key, const MailboxView& view) {
    using Kind = SearchKey::Kind;
    for (auto& child : key.children) child = freeze_numbers(std::move(child), view);
    if (key.kind != Kind::set && key.kind != Kind::uid_set) return key;
    auto& ranges = key.numbers.ranges;
    if (key.kind == Kind::set || key.numbers.saved) {
        ranges = view.uids_for_search(key.numbers, key.kind == Kind::set ? Numbers::sequence : Numbers::uid);
    } else {
        // `n:*` has no end, so that it holds what comes later; `*` alone is the last one of now.
        uint32_t last = view.rows().empty() ? 0 : view.rows().back().uid;
        for (auto& range : ranges) {
            if (range.first == range.last && range.first == 0) range = {last, last};
            if (range.first == 0) range.first = UINT32_MAX;
            if (range.last == 0) range.last = UINT32_MAX;
        }
        std::erase_if(ranges, [](const auto& range) { return range.last == 0; });
    }
    key.kind = ranges.empty() ? Kind::none : Kind::uid_set;
    key.numbers.saved = false;
    return key;
}

SearchContext::SearchContext(const Command& command, const SearchArguments& args, const MailboxView& view,
                             const Features& features, const std::vector<uint32_t>& found, std::optional<Sorter> sorter)
    : tag_(command.tag),
      correlator_(search_correlator(command, view, features)),
      numbers_(command.verb == Verb::esearch ? Numbers::uid : command.numbers),
      key_(freeze_numbers(args.key, view)),
      attributes_(args.returns.update_attributes),
      sorter_(std::move(sorter)) {
    matched_.reserve(found.size());
    for (uint32_t index : found) matched_.push_back(view.rows()[index].uid);
}

bool SearchContext::needs_infos() const {
    return sorter_ && std::ranges::any_of(sorter_->keys(), needs_info);
}

bool SearchContext::too_large() const {
    if (text_bytes(key_) > kMaxContextText) return true;
    return sorter_ && (sorter_->size() > kMaxSortedResults || sorter_->text_bytes() > kMaxSortedBytes);
}

bool SearchContext::has(uint32_t uid) const {
    return std::ranges::binary_search(matched_, uid);
}

uint32_t SearchContext::number(const MailboxView& view, uint32_t uid) const {
    if (numbers_ == Numbers::uid) return uid;
    return view.find(uid).value_or(0) + 1;
}

void SearchContext::append_start(std::string& out) const {
    out += "* ESEARCH " + correlator_ + (numbers_ == Numbers::uid ? " UID " : " ");
}

void SearchContext::remove(std::string& out, const MailboxView& view, const std::vector<uint32_t>& uids) {
    std::vector<uint32_t> gone;
    std::ranges::set_intersection(matched_, uids, std::back_inserter(gone));
    if (gone.empty()) return;
    std::vector<uint32_t> left;
    left.reserve(matched_.size() - gone.size());
    std::ranges::set_difference(matched_, gone, std::back_inserter(left));
    matched_ = std::move(left);
    append_start(out);
    out += "REMOVEFROM (";
    if (sorter_) {
        Pairs pairs;
        for (uint32_t uid : gone)
            if (auto position = sorter_->erase(uid)) pairs.remove(*position + 1, number(view, uid));
        out += pairs.take();
    } else {
        SetWriter set;  // RFC 5267 4.3.4: without an order, position 0
        for (uint32_t uid : gone) set.add(number(view, uid));
        out += "0 " + set.take();
    }
    out += ")\r\n";
}

void SearchContext::add(std::string& out, const MailboxView& view, const std::vector<uint32_t>& indexes,
                        const std::vector<const mail::MessageInfo*>& infos) {
    if (indexes.empty()) return;
    append_start(out);
    out += "ADDTO (";
    Pairs pairs;
    SetWriter set;
    for (size_t i = 0; i < indexes.size(); i++) {
        const auto& row = view.rows()[indexes[i]];
        matched_.insert(std::ranges::lower_bound(matched_, row.uid), row.uid);
        if (sorter_)
            pairs.add(sorter_->insert(row.uid, row, infos.empty() ? nullptr : infos[i]) + 1, number(view, row.uid));
        else
            set.add(number(view, row.uid));
    }
    out += sorter_ ? pairs.take() : "0 " + set.take();
    out += ")\r\n";
}

bool SearchContexts::has(const std::string& tag) const {
    return std::ranges::find(contexts_, tag, &SearchContext::tag) != contexts_.end();
}

bool SearchContexts::add(SearchContext context) {
    size_t results = context.size();
    for (const auto& other : contexts_) results += other.size();
    if (contexts_.size() == kMaxContexts || results > kMaxContextResults || context.too_large()) return false;
    contexts_.push_back(std::move(context));
    return true;
}

bool SearchContexts::cancel(const std::string& tag) {
    return std::erase_if(contexts_, [&](const auto& context) { return context.tag() == tag; }) > 0;
}

void SearchContexts::tell_gone(std::string& out, const MailboxView& view) {
    if (view.gone().empty()) return;
    std::vector<uint32_t> gone(view.gone().begin(), view.gone().end());
    for (auto& context : contexts_) context.remove(out, view, gone);
}

// A context that has outgrown its bounds ends; the client is told as if it had been refused (RFC 5267 4.3.1).
void SearchContexts::drop_too_large(Session& session) {
    size_t results = 0;
    std::erase_if(contexts_, [&](const auto& context) {
        results += context.size();
        if (!context.too_large() && results <= kMaxContextResults) return false;
        std::string out = "NO [NOUPDATE ";
        mail::append_string(out, context.tag());
        session.untagged(out + "] too many results: no further updates");
        return true;
    });
}

async::Task<void> SearchContexts::fetch_arrived(Session& session, const Selection& arrived,
                                                const FetchAttributes& attributes,
                                                const std::vector<std::vector<uint32_t>>& matches) {
    // Messages that match the same contexts are told together.
    std::map<std::vector<bool>, std::vector<uint32_t>> groups;
    for (const auto& range : arrived) {
        for (uint32_t index = range.begin; index < range.end; index++) {
            std::vector<bool> which;
            for (const auto& match : matches) which.push_back(std::ranges::binary_search(match, index));
            groups[which].push_back(index);
        }
    }
    for (const auto& [which, indexes] : groups) {
        FetchAttributes wanted = attributes;
        for (size_t i = 0; i < which.size(); i++)
            if (which[i]) merge(wanted, contexts_[i].attributes());
        if (has_attributes(wanted)) co_await fetch_messages(session, to_selection(indexes), wanted);
    }
}

async::Task<void> SearchContexts::tell_touched(Session& session, std::vector<uint32_t> touched, Selection arrived,
                                               FetchAttributes attributes) {
    const auto& view = session.view();
    auto among = to_selection(touched);
    std::vector<std::vector<uint32_t>> matches;
    for (const auto& context : contexts_) {
        if (touched.empty()) break;
        Search search(loosen(context.key()), view);
        matches.push_back(co_await find_messages(session, view, search, among));
    }
    // RFC 5465 7: EXISTS, FETCH, ESEARCH, in this order; 5.2 there has the last two the other way round
    co_await fetch_arrived(session, arrived, attributes, matches);
    for (size_t i = 0; i < matches.size(); i++) {
        auto& context = contexts_[i];
        std::vector<uint32_t> removed;
        for (uint32_t index : touched)
            if (!std::ranges::binary_search(matches[i], index)) removed.push_back(view.rows()[index].uid);
        std::erase_if(matches[i], [&](uint32_t index) { return context.has(view.rows()[index].uid); });
        std::vector<RowInfo> rows;
        if (context.needs_infos() && !matches[i].empty()) {
            InfoSource source(session, view, to_selection(matches[i]));
            for (auto batch = co_await source.next(); !batch.empty(); batch = co_await source.next())
                for (auto& row : batch) rows.push_back(std::move(row));
            matches[i].clear();
            for (const auto& row : rows) matches[i].push_back(row.index);
        }
        std::vector<const mail::MessageInfo*> infos;
        for (const auto& row : rows) infos.push_back(&row.info);
        std::string out;
        context.remove(out, view, removed);
        context.add(out, view, matches[i], infos);
        session.stream().write(out);
        co_await session.flush_some();
    }
    drop_too_large(session);
}

}  // namespace mox::imapd
