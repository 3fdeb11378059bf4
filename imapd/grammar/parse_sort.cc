// SORT and THREAD (RFC 5256 5), their RETURN options (RFC 5267 3.1) and keys (RFC 5957 4).
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

SortKey parse_sort_key(Scanner& in) {
    using Kind = SortKey::Kind;
    constexpr std::pair<std::string_view, Kind> kNames[] = {{"ARRIVAL", Kind::arrival},
                                                            {"CC", Kind::cc},
                                                            {"DATE", Kind::date},
                                                            {"FROM", Kind::from},
                                                            {"SIZE", Kind::size},
                                                            {"SUBJECT", Kind::subject},
                                                            {"TO", Kind::to},
                                                            {"DISPLAYFROM", Kind::display_from},
                                                            {"DISPLAYTO", Kind::display_to},
                                                            {"RELEVANCY", Kind::relevancy}};
    SortKey key;
    key.reverse = in.take_word("REVERSE");
    if (key.reverse) in.space();
    auto name = in.atom("sort key");
    for (const auto& [known, kind] : kNames) {
        if (!text::iequals(known, name)) continue;
        key.kind = kind;
        return key;
    }
    throw SyntaxError("unknown sort key");
}

// RFC 5256 5 search-criteria: the charset is mandatory here
void parse_criteria(Scanner& in, SearchArguments& search) {
    in.space();
    search.charset = text::to_upper(in.astring());
    in.space();
    search.key = parse_search_keys(in);
}

}  // namespace

Arguments parse_sort(Scanner& in) {
    SortArguments args;
    in.space();
    if (in.take_word("RETURN")) {
        in.space();
        args.search.returns = parse_returns(in);
        in.space();
    }
    in.expect('(');
    do {
        if (args.keys.size() == kMaxSortKeys) throw SyntaxError("too many sort keys");
        args.keys.push_back(parse_sort_key(in));
    } while (in.take(' '));
    in.expect(')');
    parse_criteria(in, args.search);
    return args;
}

Arguments parse_thread(Scanner& in) {
    ThreadArguments args;
    in.space();
    if (in.take_word("ORDEREDSUBJECT"))
        args.algorithm = ThreadArguments::Algorithm::ordered_subject;
    else if (!in.take_word("REFERENCES"))
        throw SyntaxError("unknown threading algorithm");
    parse_criteria(in, args.search);
    return args;
}

}  // namespace mox::imapd
