// LIST, LSUB and STATUS (RFC 3501 9, RFC 5258 6, RFC 5819 4, RFC 6154 6, RFC 8440 5, RFC 9590 5).
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

uint32_t parse_status_items(Scanner& in) {
    constexpr std::pair<std::string_view, uint32_t> kItems[] = {{"MESSAGES", kStatusMessages},
                                                                {"RECENT", kStatusRecent},
                                                                {"UIDNEXT", kStatusUidNext},
                                                                {"UIDVALIDITY", kStatusUidValidity},
                                                                {"UNSEEN", kStatusUnseen},
                                                                {"SIZE", kStatusSize},
                                                                {"DELETED", kStatusDeleted},
                                                                {"APPENDLIMIT", kStatusAppendLimit},
                                                                {"HIGHESTMODSEQ", kStatusHighestModSeq},
                                                                {"MAILBOXID", kStatusMailboxId},
                                                                {"DELETED-STORAGE", kStatusDeletedStorage}};
    uint32_t items = 0;
    in.expect('(');
    do {
        auto word = in.atom("STATUS item");
        uint32_t bit = 0;
        for (const auto& [name, value] : kItems)
            if (text::iequals(name, word)) bit = value;
        if (bit == 0) throw SyntaxError("unknown STATUS item");
        items |= bit;
    } while (in.take(' '));
    in.expect(')');
    return items;
}

// RFC 5258 3.1
void parse_list_selection(Scanner& in, ListArguments& args) {
    in.expect('(');
    if (in.take(')')) return;
    do {
        if (in.take_word("SUBSCRIBED"))
            args.select_subscribed = true;
        else if (in.take_word("RECURSIVEMATCH"))
            args.recursive_match = true;
        else if (in.take_word("SPECIAL-USE"))
            args.select_special_use = true;  // RFC 6154 2
        else if (!in.take_word("REMOTE"))
            throw SyntaxError("unknown LIST selection option");
    } while (in.take(' '));
    in.expect(')');
    // RFC 5258 3.1: RECURSIVEMATCH cannot stand alone or only with REMOTE
    if (args.recursive_match && !args.select_subscribed && !args.select_special_use)
        throw SyntaxError("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE");
}

// RFC 5258 3.2, RFC 5819 2
void parse_list_return(Scanner& in, ListArguments& args) {
    in.expect('(');
    if (in.take(')')) return;
    do {
        if (in.take_word("SUBSCRIBED"))
            args.return_subscribed = true;
        else if (in.take_word("CHILDREN"))
            args.return_children = true;
        else if (in.take_word("STATUS")) {
            in.space();
            args.return_status = parse_status_items(in);
        } else if (in.take_word("METADATA")) {  // RFC 9590 3
            in.space();
            args.return_metadata = parse_metadata_names(in);
        } else if (in.take_word("MYRIGHTS")) {  // RFC 8440 5
            args.return_my_rights = true;
        } else if (!in.take_word("SPECIAL-USE"))
            throw SyntaxError("unknown LIST return option");
    } while (in.take(' '));
    in.expect(')');
}

}  // namespace

Arguments parse_status(Scanner& in) {
    StatusArguments args;
    in.space();
    args.name = in.mailbox();
    in.space();
    args.items = parse_status_items(in);
    return args;
}

Arguments parse_lsub(Scanner& in) {
    ListArguments args;
    in.space();
    args.reference = in.astring();
    in.space();
    args.patterns.push_back(in.list_mailbox());
    return args;
}

Arguments parse_list(Scanner& in) {
    constexpr size_t kMaxPatterns = 100;
    ListArguments args;
    in.space();
    if (in.peek() == '(') {
        args.extended = true;
        parse_list_selection(in, args);
        in.space();
    }
    args.reference = in.astring();
    in.space();
    if (in.take('(')) {
        args.extended = true;
        do {
            if (args.patterns.size() == kMaxPatterns) throw SyntaxError("too many patterns");
            args.patterns.push_back(in.list_mailbox());
        } while (in.take(' '));
        in.expect(')');
    } else {
        args.patterns.push_back(in.list_mailbox());
    }
    if (in.take(' ')) {
        args.extended = true;
        if (!in.take_word("RETURN")) throw SyntaxError("expected RETURN");
        in.space();
        parse_list_return(in, args);
    }
    return args;
}

}  // namespace mox::imapd
