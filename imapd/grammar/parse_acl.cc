// SETACL, DELETEACL and LISTRIGHTS (RFC 4314 7).
#include "common/mail/rights.h"
#include "common/mail/utf8.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

// DEVIATES RFC 4314 3: not prepared by SASLprep but taken as it is; it must be an account's name or address as the
// configuration has it.
std::string parse_acl_identifier(Scanner& in) {
    constexpr size_t kMaxIdentifier = 320;
    std::string identifier = in.astring();
    bool plain = mail::is_utf8(identifier) && identifier.size() <= kMaxIdentifier;
    for (char c : identifier) plain = plain && static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
    if (!plain || identifier.empty() || identifier == "-") throw SyntaxError("not an identifier");
    return identifier;
}

}  // namespace

Arguments parse_identifier(Scanner& in) {
    AclArguments args;
    in.space();
    args.mailbox = in.mailbox();
    in.space();
    args.identifier = parse_acl_identifier(in);
    return args;
}

Arguments parse_setacl(Scanner& in) {
    auto args = std::get<AclArguments>(parse_identifier(in));
    in.space();
    std::string rights = in.astring();
    std::string_view letters = rights;
    if (letters.starts_with('+'))
        args.change = proto::AclChange::add;
    else if (letters.starts_with('-'))
        args.change = proto::AclChange::remove;
    if (args.change != proto::AclChange::replace) letters.remove_prefix(1);
    auto bits = mail::parse_rights(letters);
    if (!bits) throw SyntaxError("not a right that there is; rights are small letters");  // RFC 4314 3.1
    args.rights = *bits;
    return args;
}

}  // namespace mox::imapd
