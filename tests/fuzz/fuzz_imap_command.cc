// Feeds the grammar of IMAP commands with anything; what it accepts must hold what it promises.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "imapd/grammar/command.h"
#include "imapd/grammar/command_reader.h"
#include "imapd/grammar/imap_url.h"

using namespace mox::imapd;

namespace {

void check(bool right) {
    if (!right) std::abort();
}

size_t depth_of(const SearchKey& key) {
    size_t deepest = 0;
    for (const auto& child : key.children) deepest = std::max(deepest, depth_of(child));
    return deepest + 1;
}

void check_set(const SequenceSet& set) {
    check((set.saved || !set.ranges.empty()) && set.ranges.size() <= kMaxRanges);
    auto ranges = normalise(set, 1000);
    for (size_t i = 0; i < ranges.size(); i++) {
        check(ranges[i].first <= ranges[i].last);
        if (i > 0) check(ranges[i].first > ranges[i - 1].last);
        check(contains(ranges, ranges[i].first) && contains(ranges, ranges[i].last));
    }
}

void check_filters(const std::vector<MailboxFilter>& filters) {
    size_t names = 0;
    for (const auto& filter : filters) {
        names += filter.names.size();
        for (const auto& name : filter.names) {
            bool meant = filter.kind == MailboxFilter::Kind::mailboxes || filter.kind == MailboxFilter::Kind::subtree ||
                         filter.kind == MailboxFilter::Kind::subtree_one;
            check(meant && matches(filter, name, false));
        }
    }
    check(filters.size() <= kMaxFilters && names <= kMaxFilterNames);
}

void check_command(const Command& command) {
    check(!command.tag.empty() && !to_string(command.verb).empty());
    if (const auto* mailbox = std::get_if<MailboxArguments>(&command.arguments))
        check(decode_mailbox_name(encode_mailbox_name(mailbox->name)) == mailbox->name);
    if (const auto* search = std::get_if<SearchArguments>(&command.arguments))
        check(depth_of(search->key) <= kMaxDepth + 2);
    if (const auto* fetch = std::get_if<FetchArguments>(&command.arguments)) {
        check_set(fetch->set);
        check(fetch->items != 0 || !fetch->sections.empty());
        check(fetch->sections.size() <= kMaxSections);
    }
    if (const auto* esearch = std::get_if<EsearchArguments>(&command.arguments)) {
        check(depth_of(esearch->search.key) <= kMaxDepth + 2);
        check_filters(esearch->sources);
    }
    if (const auto* notify = std::get_if<NotifyArguments>(&command.arguments)) {
        std::vector<MailboxFilter> filters;
        for (const auto& group : notify->groups) {
            filters.push_back(group.filter);
            check(!group.filter.is_selected() || (group.events & ~kMessageEvents) == 0);
            check(group.attributes.sections.size() <= kMaxSections);
        }
        check_filters(filters);
    }
    if (const auto* store = std::get_if<StoreArguments>(&command.arguments)) check_set(store->set);
    if (const auto* copy = std::get_if<CopyArguments>(&command.arguments)) check_set(copy->set);
}

// What is authorized as a whole comes back without its token; and every date is within its years.
void check_auth_url(std::string_view text) {
    if (auto date = parse_internet_date(text)) check(*date > -62'200'000'000 && *date < 253'500'000'000);
    auto url = parse_auth_url(text);
    if (!url) return;
    check(!url->terms.user.empty() && !url->terms.mailbox.empty() && url->terms.uid.value != 0);
    check(url->mechanism.empty() == url->token.empty());
    bool names_user =
        url->terms.access == mox::proto::UrlAccess::user || url->terms.access == mox::proto::UrlAccess::submit;
    check(names_user != url->terms.access_user.empty());
    std::string rump(text);
    if (!url->mechanism.empty()) rump.resize(rump.rfind(':', rump.rfind(':') - 1));
    auto again = parse_auth_url(rump);
    check(again && again->mechanism.empty() && again->terms.section == url->terms.section);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    find_literal_start(text);
    is_message_literal(text, text.size() / 2);
    parse_message_url(text);
    check_auth_url(text);
    try {
        AppendParser parser;
        parser.feed(text.substr(0, text.size() / 2));
        parser.feed(text.substr(text.size() / 2));
    } catch (const SyntaxError&) {
        // refused
    }
    find_tag(text);
    try {
        check(depth_of(parse_search_criteria(text)) <= kMaxDepth + 2);
    } catch (const SyntaxError&) {
        // refused
    }
    try {
        check_command(parse_command(text));
        check_command(parse_command(text, NameForm::utf8));
    } catch (const SyntaxError& error) {
        check(error.text.find('\n') == std::string::npos);
    }
    return 0;
}
