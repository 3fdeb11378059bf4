// GETMETADATA and SETMETADATA (RFC 5464 5), GETQUOTA (RFC 9208 7).
#include "common/text/ascii.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxNames = 100;  // of one command

// RFC 5464 4.1: /private or /shared and more, no wildcards, no empty component
std::string parse_name(Scanner& in) {
    std::string name = text::to_lower(in.astring());
    bool rooted = name.starts_with("/private/") || name.starts_with("/shared/");
    bool plain = text::is_ascii(name) && name.find_first_of("*%") == std::string::npos &&
                 name.find("//") == std::string::npos && !name.ends_with('/');
    for (char c : name) plain = plain && c >= ' ' && c != 0x7f;
    if (!rooted || !plain) throw SyntaxError("not the name of an annotation");
    if (name.size() > proto::kMaxMetadataName) throw SyntaxError("name of an annotation too long");
    return name;
}

void parse_options(Scanner& in, GetMetadataArguments& args) {
    in.expect('(');
    do {
        if (in.take_word("MAXSIZE")) {
            in.space();
            args.max_size = in.number();
        } else if (in.take_word("DEPTH")) {
            in.space();
            using Depth = GetMetadataArguments::Depth;
            if (in.take_word("0"))
                args.depth = Depth::none;
            else if (in.take_word("1"))
                args.depth = Depth::one;
            else if (in.take_word("INFINITY"))
                args.depth = Depth::infinity;
            else
                throw SyntaxError("expected 0, 1 or infinity");
        } else {
            throw SyntaxError("unknown GETMETADATA option");
        }
    } while (in.take(' '));
    in.expect(')');
}

}  // namespace

std::vector<std::string> parse_metadata_names(Scanner& in) {
    std::vector<std::string> names;
    if (!in.take('(')) return {parse_name(in)};
    do {
        if (names.size() == kMaxNames) throw SyntaxError("too many annotations");
        names.push_back(parse_name(in));
    } while (in.take(' '));
    in.expect(')');
    return names;
}

// DEVIATES RFC 5464 5: options are taken before the mailbox, as its grammar has them, and behind it, as its examples
// do.
Arguments parse_getmetadata(Scanner& in) {
    GetMetadataArguments args;
    in.space();
    if (in.peek() == '(') {
        parse_options(in, args);
        in.space();
    }
    args.mailbox = in.mailbox();
    in.space();
    auto ahead = in;
    if (ahead.take('(') && (ahead.take_word("MAXSIZE") || ahead.take_word("DEPTH"))) {
        parse_options(in, args);
        in.space();
    }
    args.names = parse_metadata_names(in);
    return args;
}

Arguments parse_setmetadata(Scanner& in) {
    SetMetadataArguments args;
    in.space();
    args.mailbox = in.mailbox();
    in.space();
    in.expect('(');
    do {
        if (args.entries.size() == kMaxNames) throw SyntaxError("too many annotations");
        proto::MetadataEntry entry{parse_name(in), {}};
        in.space();
        entry.value = in.nstring8();
        args.entries.push_back(std::move(entry));
    } while (in.take(' '));
    in.expect(')');
    return args;
}

Arguments parse_getquota(Scanner& in) {
    in.space();
    return QuotaArguments{in.astring()};
}

}  // namespace mox::imapd
