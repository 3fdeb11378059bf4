// NOTIFY (RFC 5465 8), and the mailbox filters that ESEARCH has as well (RFC 7377 4).
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxEvents = 100;  // named in one group

// RFC 5465 8 one-or-more-mailbox
void parse_names(Scanner& in, MailboxFilter& filter, size_t& names_left) {
    auto take = [&] {
        if (names_left-- == 0) throw SyntaxError("too many mailboxes");
        filter.names.push_back(in.mailbox());
    };
    if (!in.take('(')) return take();
    do take();
    while (in.take(' '));
    in.expect(')');
}

uint32_t parse_event(Scanner& in, EventGroup& group, bool& unsupported) {
    constexpr std::pair<std::string_view, uint32_t> kEvents[] = {{"MessageNew", kMessageNew},
                                                                 {"MessageExpunge", kMessageExpunge},
                                                                 {"FlagChange", kFlagChange},
                                                                 {"AnnotationChange", kAnnotationChange},
                                                                 {"MailboxName", kMailboxName},
                                                                 {"SubscriptionChange", kSubscriptionChange},
                                                                 {"MailboxMetadataChange", kMailboxMetadataChange},
                                                                 {"ServerMetadataChange", kServerMetadataChange}};
    auto word = in.atom("event");
    for (const auto& [name, bit] : kEvents) {
        if (!text::iequals(name, word)) continue;
        if (bit == kAnnotationChange) unsupported = true;
        if (bit != kMessageNew || !in.take_prefix(" (")) return bit;
        do parse_fetch_item(in, group.attributes);
        while (in.take(' '));
        in.expect(')');
        return bit;
    }
    unsupported = true;  // RFC 5465 3.1: NO, not BAD
    return 0;
}

void parse_events(Scanner& in, EventGroup& group, bool& unsupported) {
    if (in.take_word("NONE")) return;
    // DEVIATES RFC 5465 8: the parentheses may be missing, as they are in the example of 3.1.
    bool in_parentheses = in.take('(');
    size_t left = kMaxEvents;
    do {
        if (left-- == 0) throw SyntaxError("too many events");
        group.events |= parse_event(in, group, unsupported);
    } while (in.take(' '));
    if (in_parentheses) in.expect(')');
}

// RFC 5465 5, 6.1, 8
void check_group(const EventGroup& group) {
    bool arrive = group.events & kMessageNew;
    bool expunge = group.events & kMessageExpunge;
    if (arrive != expunge) throw SyntaxError("MessageNew and MessageExpunge go together");
    if ((group.events & (kFlagChange | kAnnotationChange)) && !arrive)
        throw SyntaxError("FlagChange and AnnotationChange need MessageNew and MessageExpunge");
    bool has_attributes = group.attributes.items != 0 || !group.attributes.sections.empty();
    if (group.filter.is_selected()) {
        if (group.events & ~kMessageEvents) throw SyntaxError("only events of messages for the selected mailbox");
    } else if (has_attributes) {
        throw SyntaxError("only messages of the selected mailbox are fetched");
    }
}

}  // namespace

MailboxFilter parse_mailbox_filter(Scanner& in, size_t& names_left) {
    using Kind = MailboxFilter::Kind;
    constexpr std::pair<std::string_view, Kind> kKinds[] = {
        {"SELECTED", Kind::selected},     {"SELECTED-DELAYED", Kind::selected_delayed},
        {"INBOXES", Kind::inboxes},       {"PERSONAL", Kind::personal},
        {"SUBSCRIBED", Kind::subscribed}, {"SUBTREE", Kind::subtree},
        {"MAILBOXES", Kind::mailboxes},   {"SUBTREE-ONE", Kind::subtree_one}};
    auto word = in.atom("mailbox filter");
    for (const auto& [name, kind] : kKinds) {
        if (!text::iequals(name, word)) continue;
        MailboxFilter filter{kind, {}};
        if (kind == Kind::subtree || kind == Kind::subtree_one || kind == Kind::mailboxes) {
            in.space();
            parse_names(in, filter, names_left);
        }
        return filter;
    }
    throw SyntaxError("unknown mailbox filter");
}

Arguments parse_notify(Scanner& in) {
    NotifyArguments args;
    in.space();
    if (in.take_word("NONE")) return args;
    if (!in.take_word("SET")) throw SyntaxError("expected SET or NONE");
    args.status = in.take_prefix(" STATUS");
    size_t names_left = kMaxFilterNames;
    bool selected = false;
    in.space();
    do {
        if (args.groups.size() == kMaxFilters) throw SyntaxError("too many groups of events");
        EventGroup group;
        in.expect('(');
        group.filter = parse_mailbox_filter(in, names_left);
        if (group.filter.kind == MailboxFilter::Kind::subtree_one) throw SyntaxError("unknown mailbox filter");
        in.space();
        parse_events(in, group, args.unsupported);
        in.expect(')');
        check_group(group);
        // RFC 5465 6.1
        if (group.filter.is_selected() && std::exchange(selected, true))
            throw SyntaxError("the selected mailbox is named twice");
        args.groups.push_back(std::move(group));
    } while (in.take(' '));
    return args;
}

}  // namespace mox::imapd
