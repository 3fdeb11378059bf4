#include "imapd/worker/search_answer.h"

#include <algorithm>

#include "common/mail/imap_text.h"

namespace mox::imapd {
namespace {

class Writer {
  public:
    Writer(const Found& found, Numbers numbers) : found_(found), numbers_(numbers) {}

    uint32_t number(uint32_t index) const {
        return numbers_ == Numbers::uid ? found_.view.rows()[index].uid : index + 1;
    }
    std::string set(std::span<const uint32_t> indexes) const {
        SetWriter writer;
        for (uint32_t index : indexes) writer.add(number(index));
        return writer.take();
    }
    void partial(std::string& out, const PartialRange& range) const {
        auto [begin, end] = resolve_partial(range, found_.indexes.size());
        std::string sign = range.from_end ? "-" : "";
        out += " PARTIAL (" + sign + std::to_string(range.first) + ':' + sign + std::to_string(range.last) + ' ';
        out += begin == end ? "NIL" : set(std::span(found_.indexes).subspan(begin, end - begin));
        out += ')';
    }

    // RFC 6203 4: of the messages told, in their order
    void relevancies(std::string& out, const SearchReturns& returns) const {
        size_t begin = 0;
        size_t end = found_.indexes.size();
        if (returns.partial) std::tie(begin, end) = resolve_partial(*returns.partial, end);
        out += " RELEVANCY (";
        for (size_t i = begin; i < end; i++)
            out += (i > begin ? " " : "") + std::to_string(found_.relevancies.at(found_.indexes[i]));
        out += ')';
    }

  private:
    const Found& found_;
    Numbers numbers_;
};

uint64_t highest_modseq(const Found& found, std::span<const uint32_t> indexes) {
    uint64_t highest = 0;
    for (uint32_t index : indexes) highest = std::max(highest, found.view.rows()[index].modseq);
    return highest;
}

// RFC 4731 3.2: of the messages told, when only some of them are
uint64_t told_modseq(const SearchReturns& returns, const Found& found) {
    std::vector<uint32_t> told;
    if (returns.items & (kReturnAll | kReturnCount)) return highest_modseq(found, found.indexes);
    if (returns.items & kReturnMin) told.push_back(found.indexes.front());
    if (returns.items & kReturnMax) told.push_back(found.indexes.back());
    if (returns.partial) {
        auto [begin, end] = resolve_partial(*returns.partial, found.indexes.size());
        for (size_t i = begin; i < end; i++) told.push_back(found.indexes[i]);
    }
    return highest_modseq(found, told.empty() ? std::span(found.indexes) : std::span(told));
}

}  // namespace

std::pair<size_t, size_t> resolve_partial(const PartialRange& range, size_t count) {
    auto [low, high] = std::minmax({range.first, range.last});  // RFC 9394 4: in either order
    size_t begin = std::min<size_t>(low - 1, count);
    size_t end = std::min<size_t>(high, count);
    if (range.from_end) return {count - end, count - begin};
    return {begin, end};
}

std::string plain_answer(std::string_view name, const Found& found, Numbers numbers) {
    std::string out = "* " + std::string(name);
    Writer writer(found, numbers);
    for (uint32_t index : found.indexes) {
        out += ' ';
        append_number(out, writer.number(index));
    }
    if (found.with_modseq && !found.indexes.empty())  // RFC 7162 3.1.5
        out += " (MODSEQ " + std::to_string(highest_modseq(found, found.indexes)) + ')';
    return out + "\r\n";
}

std::string search_correlator(const Command& command, const MailboxView& view, const Features& features) {
    std::string out = "(TAG ";
    mail::append_string(out, command.tag);
    if (command.verb == Verb::esearch) {
        out += " MAILBOX ";
        mail::append_astring(out, encode_mailbox_name(view.mailbox().name, features.names()), features.strings());
        out += " UIDVALIDITY ";
        append_number(out, view.mailbox().uidvalidity);
    }
    return out + ')';
}

std::string extended_answer(const Command& command, const SearchReturns& returns, const Found& found,
                            const Features& features) {
    // RFC 5182 2.2: SAVE alone wants no answer
    if (returns.given && returns.items == kReturnSave && !returns.partial) return {};
    uint32_t items = returns.given ? returns.items : kReturnAll;
    // RFC 7377 2.1: ESEARCH tells UIDs alone
    auto numbers = command.verb == Verb::esearch ? Numbers::uid : command.numbers;
    Writer writer(found, numbers);
    std::string out = "* ESEARCH " + search_correlator(command, found.view, features);
    if (numbers == Numbers::uid) out += " UID";
    bool any = !found.indexes.empty();
    // RFC 4731 3.1: MIN, MAX and ALL are left out when nothing matches
    if (any && (items & kReturnMin)) out += " MIN " + std::to_string(writer.number(found.indexes.front()));
    if (any && (items & kReturnMax)) out += " MAX " + std::to_string(writer.number(found.indexes.back()));
    if (any && (items & kReturnAll)) out += " ALL " + writer.set(found.indexes);
    if (items & kReturnCount) out += " COUNT " + std::to_string(found.indexes.size());
    if (returns.partial) writer.partial(out, *returns.partial);
    if (items & kReturnRelevancy) writer.relevancies(out, returns);
    if (any && found.with_modseq) out += " MODSEQ " + std::to_string(told_modseq(returns, found));
    return out + "\r\n";
}

std::vector<uint32_t> saved_indexes(const SearchReturns& returns, const Found& found) {
    std::vector<uint32_t> saved;
    bool some = (returns.items & (kReturnMin | kReturnMax)) != 0 || returns.partial;
    if (!some || (returns.items & (kReturnAll | kReturnCount)) != 0) {
        saved = found.indexes;
    } else if (!found.indexes.empty()) {
        if (returns.items & kReturnMin) saved.push_back(found.indexes.front());
        if (returns.items & kReturnMax) saved.push_back(found.indexes.back());
        if (returns.partial) {
            auto [begin, end] = resolve_partial(*returns.partial, found.indexes.size());
            for (size_t i = begin; i < end; i++) saved.push_back(found.indexes[i]);
        }
    }
    std::ranges::sort(saved);
    auto extra = std::ranges::unique(saved);
    saved.erase(extra.begin(), extra.end());
    return saved;
}

}  // namespace mox::imapd
