// SEARCH (RFC 3501 6.4.4 and 9: search, search-key), ESEARCH (RFC 7377 4). Nesting is bounded by kMaxDepth.
#include <array>

#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"
#include "proto/account.h"

namespace mox::imapd {
namespace {

using Kind = SearchKey::Kind;

enum class Operand : uint8_t {
    none,
    text,
    keyword,
    header,
    date,
    size,
    seconds,
    modseq,
    uid_set,
    uid_after,
    uid_before,
    filter,
    key,
    fuzzy_key,
    two_keys
};

struct Row {
    std::string_view name;
    Kind kind;
    Operand operand = Operand::none;
    uint32_t bits = 0;
};

constexpr std::array kKeys = {
    Row{"ALL", Kind::all},
    Row{"ANSWERED", Kind::flags, Operand::none, proto::kAnswered},
    Row{"BCC", Kind::bcc, Operand::text},
    Row{"BEFORE", Kind::before, Operand::date},
    Row{"BODY", Kind::body, Operand::text},
    Row{"CC", Kind::cc, Operand::text},
    Row{"DELETED", Kind::flags, Operand::none, proto::kDeleted},
    Row{"DRAFT", Kind::flags, Operand::none, proto::kDraft},
    Row{"EMAILID", Kind::email_id, Operand::text},
    Row{"FILTER", Kind::filter, Operand::filter},
    Row{"FLAGGED", Kind::flags, Operand::none, proto::kFlagged},
    Row{"FROM", Kind::from, Operand::text},
    Row{"FUZZY", Kind::and_, Operand::fuzzy_key},
    Row{"HEADER", Kind::header, Operand::header},
    Row{"KEYWORD", Kind::keyword, Operand::keyword},
    Row{"LARGER", Kind::larger, Operand::size},
    Row{"MODSEQ", Kind::modseq, Operand::modseq},
    Row{"NEW", Kind::none},  // RFC 3501 6.4.4: RECENT UNSEEN; no message is \Recent here
    Row{"NOT", Kind::not_, Operand::key},
    Row{"OLD", Kind::all},  // NOT RECENT
    Row{"OLDER", Kind::older, Operand::seconds},
    Row{"ON", Kind::on, Operand::date},
    Row{"OR", Kind::or_, Operand::two_keys},
    Row{"RECENT", Kind::none},
    Row{"SAVEDATESUPPORTED", Kind::all},
    Row{"SAVEDBEFORE", Kind::saved_before, Operand::date},
    Row{"SAVEDON", Kind::saved_on, Operand::date},
    Row{"SAVEDSINCE", Kind::saved_since, Operand::date},
    Row{"SEEN", Kind::flags, Operand::none, proto::kSeen},
    Row{"SENTBEFORE", Kind::sent_before, Operand::date},
    Row{"SENTON", Kind::sent_on, Operand::date},
    Row{"SENTSINCE", Kind::sent_since, Operand::date},
    Row{"SINCE", Kind::since, Operand::date},
    Row{"SMALLER", Kind::smaller, Operand::size},
    Row{"SUBJECT", Kind::subject, Operand::text},
    Row{"TEXT", Kind::text, Operand::text},
    Row{"THREADID", Kind::thread_id, Operand::text},
    Row{"TO", Kind::to, Operand::text},
    Row{"UID", Kind::uid_set, Operand::uid_set},
    Row{"UIDAFTER", Kind::uid_set, Operand::uid_after},
    Row{"UIDBEFORE", Kind::uid_set, Operand::uid_before},
    Row{"UNANSWERED", Kind::no_flags, Operand::none, proto::kAnswered},
    Row{"UNDELETED", Kind::no_flags, Operand::none, proto::kDeleted},
    Row{"UNDRAFT", Kind::no_flags, Operand::none, proto::kDraft},
    Row{"UNFLAGGED", Kind::no_flags, Operand::none, proto::kFlagged},
    Row{"UNKEYWORD", Kind::no_keyword, Operand::keyword},
    Row{"UNSEEN", Kind::no_flags, Operand::none, proto::kSeen},
    Row{"YOUNGER", Kind::younger, Operand::seconds},
};

mail::Date parse_date(Scanner& in) {
    // RFC 3501 9 date: date-text / DQUOTE date-text DQUOTE
    auto date = mail::parse_imap_date(in.peek() == '"' ? in.string() : std::string(in.atom("date")));
    if (!date) throw SyntaxError("wrong date");
    return *date;
}

// KEYWORD of one of the flags that are bits looks at the bit.
void parse_keyword(Scanner& in, SearchKey& key) {
    FlagList list;
    if (in.peek() == '\\') throw SyntaxError("expected a keyword");
    in.flag(list);
    if (list.bits != 0) {
        key.bits = list.bits;
        key.kind = key.kind == Kind::keyword ? Kind::flags : Kind::no_flags;
    } else {
        key.text = list.keywords.front();
    }
}

// RFC 7162 7 search-modsequence: ["/flags/\\Seen" SP all SP] n; there is one modseq for all flags of a message
void parse_modseq(Scanner& in, SearchKey& key) {
    if (in.peek() == '"') {
        if (!text::istarts_with(in.string(), "/flags/")) throw SyntaxError("unknown metadata item");
        in.space();
        if (!in.take_word("priv") && !in.take_word("shared") && !in.take_word("all"))
            throw SyntaxError("expected priv, shared or all");
        in.space();
    }
    key.size = in.number64();
}

// RFC 6203 3: all below as well
void make_fuzzy(SearchKey& key) {
    key.fuzzy = true;
    for (auto& child : key.children) make_fuzzy(child);
}

// RFC 9738 3.2; other than in `UID n:*`, the last message is not meant when it lies on the other side
void parse_uid_bound(Scanner& in, SearchKey& key, SequenceRange (*range)(uint32_t)) {
    auto wanted = range(in.nz_number());
    if (wanted.first == 0 || wanted.last == 0)
        key.kind = Kind::none;
    else
        key.numbers.ranges.push_back(wanted);
}

// Where in the tree a key is, and how many more there may be.
struct Place {
    size_t depth;
    size_t& left;

    Place below() const { return {depth + 1, left}; }
};

SearchKey parse_key(Scanner& in, Place place);

SearchKey parse_group(Scanner& in, Place place) {
    SearchKey group;
    group.kind = Kind::and_;
    in.expect('(');
    do group.children.push_back(parse_key(in, place.below()));
    while (in.take(' '));
    in.expect(')');
    return group;
}

void parse_operand(Scanner& in, Operand operand, SearchKey& key, Place place) {
    if (operand == Operand::none) return;
    in.space();
    switch (operand) {
        case Operand::none:
            break;
        case Operand::text:
            key.text = in.astring();
            break;
        case Operand::keyword:
            parse_keyword(in, key);
            break;
        case Operand::header:
            key.field = in.astring();
            in.space();
            key.text = in.astring();
            break;
        case Operand::date:
            key.date = parse_date(in);
            break;
        case Operand::size:
            key.size = in.number64();
            break;
        case Operand::seconds:
            key.size = in.nz_number();  // RFC 5032 3
            break;
        case Operand::modseq:
            parse_modseq(in, key);
            break;
        case Operand::uid_set:
            key.numbers = in.sequence_set();
            break;
        case Operand::uid_after:
            parse_uid_bound(in, key, [](uint32_t uid) { return SequenceRange{uid + 1, UINT32_MAX}; });
            break;
        case Operand::uid_before:
            parse_uid_bound(in, key, [](uint32_t uid) { return SequenceRange{1, uid - 1}; });
            break;
        case Operand::filter:
            key.text = text::to_lower(in.atom("filter"));
            if (!is_filter_name(key.text)) throw SyntaxError("not the name of a filter");
            break;
        case Operand::fuzzy_key:
            key.children.push_back(parse_key(in, place.below()));
            key.fuzzy = true;
            make_fuzzy(key.children.back());
            break;
        case Operand::key:
            key.children.push_back(parse_key(in, place.below()));
            break;
        case Operand::two_keys:
            key.children.push_back(parse_key(in, place.below()));
            in.space();
            key.children.push_back(parse_key(in, place.below()));
            break;
    }
}

SearchKey parse_key(Scanner& in, Place place) {
    if (place.depth > kMaxDepth) throw SyntaxError("search keys nested too deeply");
    if (place.left-- == 0) throw SyntaxError("too many search keys");
    if (in.peek() == '(') return parse_group(in, place);
    SearchKey key;
    if (in.peek() == '*' || in.peek() == '$' || text::is_digit(in.peek())) {
        key.kind = Kind::set;
        key.numbers = in.sequence_set();
        return key;
    }
    auto name = in.atom("search key");
    for (const auto& row : kKeys) {
        if (!text::iequals(row.name, name)) continue;
        key.kind = row.kind;
        key.bits = row.bits;
        parse_operand(in, row.operand, key, place);
        return key;
    }
    throw SyntaxError("unknown search key");
}

// RFC 5465 8 modifier-update, with the space of the example in its 7
void parse_update_attributes(Scanner& in, FetchAttributes& attributes) {
    if (!in.take('(') && !in.take_prefix(" (")) return;
    do parse_fetch_item(in, attributes);
    while (in.take(' '));
    in.expect(')');
}

}  // namespace

// RFC 4731 3.1, RFC 5182 2.1, RFC 9394 3.1, RFC 5267 5
SearchReturns parse_returns(Scanner& in) {
    constexpr std::pair<std::string_view, uint32_t> kItems[] = {{"MIN", kReturnMin},   {"MAX", kReturnMax},
                                                                {"ALL", kReturnAll},   {"COUNT", kReturnCount},
                                                                {"SAVE", kReturnSave}, {"RELEVANCY", kReturnRelevancy}};
    SearchReturns returns;
    returns.given = true;
    in.expect('(');
    if (in.take(')')) {
        returns.items = kReturnAll;  // RFC 4731 3.1: an empty list is ALL
        return returns;
    }
    do {
        auto word = in.atom("RETURN option");
        uint32_t bit = 0;
        for (const auto& [name, value] : kItems)
            if (text::iequals(name, word)) bit = value;
        if (text::iequals(word, "PARTIAL")) {
            if (returns.partial) throw SyntaxError("PARTIAL twice");  // RFC 9394 3.1
            in.space();
            returns.partial = in.partial_range();
        } else if (text::iequals(word, "CONTEXT")) {
            returns.context = true;
        } else if (text::iequals(word, "UPDATE")) {
            returns.update = true;
            parse_update_attributes(in, returns.update_attributes);
        } else if (bit == 0) {
            throw SyntaxError("unknown RETURN option");
        }
        returns.items |= bit;
    } while (in.take(' '));
    in.expect(')');
    if (returns.partial && (returns.items & kReturnAll)) throw SyntaxError("PARTIAL and ALL");  // RFC 9394 3.1
    return returns;
}

SearchKey parse_search_keys(Scanner& in) {
    SearchKey all;
    all.kind = Kind::and_;
    size_t left = kMaxKeys;
    do all.children.push_back(parse_key(in, {1, left}));
    while (in.take(' '));
    return all;
}

bool is_filter_name(std::string_view name) {
    Scanner in(name);
    try {
        in.atom("filter");
    } catch (const SyntaxError&) {
        return false;
    }
    return in.at_end() && name.find('/') == std::string_view::npos;
}

SearchKey parse_search_criteria(std::string_view text) {
    Scanner in(text);
    auto key = parse_search_keys(in);
    in.end();
    return key;
}

// DEVIATES RFC 5267 5: a tag may be an atom or a literal too.
Arguments parse_cancelupdate(Scanner& in) {
    CancelUpdateArguments args;
    in.space();
    do {
        if (args.tags.size() == kMaxCancelled) throw SyntaxError("too many tags");
        args.tags.push_back(in.astring());
    } while (in.take(' '));
    return args;
}

namespace {

// RETURN options, CHARSET and keys, from the space in front on
void parse_program(Scanner& in, SearchArguments& args) {
    in.space();
    if (in.take_word("RETURN")) {
        in.space();
        args.returns = parse_returns(in);
        in.space();
    }
    if (in.take_word("CHARSET")) {
        in.space();
        args.charset = text::to_upper(in.astring());
        in.space();
    }
    args.key = parse_search_keys(in);
}

// RFC 7377 4 esearch-source-opts; there are no scope options
void parse_sources(Scanner& in, std::vector<MailboxFilter>& sources) {
    size_t names_left = kMaxFilterNames;
    in.expect('(');
    do {
        if (sources.size() == kMaxFilters) throw SyntaxError("too many sources");
        sources.push_back(parse_mailbox_filter(in, names_left));
        if (sources.back().kind == MailboxFilter::Kind::selected_delayed) throw SyntaxError("unknown mailbox filter");
    } while (in.take(' '));
    in.expect(')');
}

}  // namespace

Arguments parse_search(Scanner& in) {
    SearchArguments args;
    parse_program(in, args);
    return args;
}

Arguments parse_esearch(Scanner& in) {
    EsearchArguments args;
    auto ahead = in;
    if (ahead.take(' ') && ahead.take_word("IN")) {
        in = ahead;
        in.space();
        parse_sources(in, args.sources);
    }
    parse_program(in, args.search);
    return args;
}

}  // namespace mox::imapd
