// The grammar of the commands without files of their own, and the table of all: one function for each shape of
// arguments.
#include <array>

#include "common/text/ascii.h"
#include "imapd/grammar/command.h"
#include "imapd/grammar/parse.h"
#include "proto/account.h"

namespace mox::imapd {
namespace {

Arguments parse_none(Scanner&) {
    return NoArguments{};
}

Arguments parse_login(Scanner& in) {
    LoginArguments args;
    in.space();
    args.user = in.astring();
    in.space();
    args.password = in.astring();
    return args;
}

Arguments parse_authenticate(Scanner& in) {
    AuthenticateArguments args;
    in.space();
    args.mechanism = text::to_upper(in.atom("mechanism"));
    if (in.take(' ')) args.initial = std::string(in.take('=') ? "=" : in.astring());  // RFC 4959 3
    return args;
}

// RFC 2971 3.3: at most 30 field-value pairs
Arguments parse_id(Scanner& in) {
    constexpr size_t kMaxFields = 30;
    IdArguments args;
    in.space();
    if (in.take_word("NIL")) return args;
    in.expect('(');
    if (in.take(')')) return args;
    do {
        if (args.fields.size() == kMaxFields) throw SyntaxError("too many ID fields");
        std::string name = in.string();
        in.space();
        args.fields.emplace_back(std::move(name), in.nstring());
    } while (in.take(' '));
    in.expect(')');
    return args;
}

Arguments parse_language(Scanner& in) {
    constexpr size_t kMaxLanguages = 20;
    LanguageArguments args;
    while (in.take(' ')) {
        if (args.ranges.size() == kMaxLanguages) throw SyntaxError("too many languages");
        args.ranges.push_back(in.astring());
    }
    return args;
}

Arguments parse_compress(Scanner& in) {
    in.space();
    return CompressArguments{text::to_upper(in.atom("mechanism"))};
}

Arguments parse_enable(Scanner& in) {
    EnableArguments args;
    in.space();
    do args.names.push_back(text::to_upper(in.atom("capability")));
    while (in.take(' '));
    return args;
}

Arguments parse_mailbox(Scanner& in) {
    in.space();
    return MailboxArguments{in.mailbox()};
}

SelectArguments::Resync parse_resync(Scanner& in) {
    // RFC 7162 7 qresync-param: uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data]
    SelectArguments::Resync resync{};
    in.space();
    in.expect('(');
    resync.uidvalidity = in.nz_number();
    in.space();
    resync.modseq = in.number64();
    if (in.take(' ') && in.peek() != '(') {
        resync.known_uids = in.sequence_set();
        for (const auto& range : resync.known_uids->ranges)
            if (range.first == 0 || range.last == 0) throw SyntaxError("no * among the known UIDs");  // RFC 7162 7
        if (resync.known_uids->saved) throw SyntaxError("no $ among the known UIDs");
        in.take(' ');
    }
    if (in.take('(')) {
        resync.has_sequence_match = true;
        in.sequence_set();
        in.space();
        in.sequence_set();
        in.expect(')');
    }
    in.expect(')');
    return resync;
}

// RFC 7162 7 select-param
Arguments parse_select(Scanner& in) {
    SelectArguments args;
    in.space();
    args.name = in.mailbox();
    if (!in.take(' ')) return args;
    in.expect('(');
    do {
        if (in.take_word("CONDSTORE"))
            args.condstore = true;
        else if (in.take_word("QRESYNC") && !args.resync)
            args.resync = parse_resync(in);
        else
            throw SyntaxError("unknown SELECT parameter");
    } while (in.take(' '));
    in.expect(')');
    return args;
}

// 0: one that we do not know
uint32_t parse_special_use(Scanner& in) {
    in.expect('\\');
    auto name = in.atom("special use");
    constexpr std::pair<std::string_view, uint32_t> kUses[] = {{"Archive", proto::kArchiveUse},
                                                               {"Drafts", proto::kDraftsUse},
                                                               {"Junk", proto::kJunkUse},
                                                               {"Sent", proto::kSentUse},
                                                               {"Trash", proto::kTrashUse}};
    for (const auto& [use, bit] : kUses)
        if (text::iequals(use, name)) return bit;
    return 0;
}

// RFC 6154 3: CREATE mailbox (USE (\Sent))
Arguments parse_create(Scanner& in) {
    CreateArguments args;
    in.space();
    args.name = in.mailbox();
    if (!in.take(' ')) return args;
    in.expect('(');
    if (!in.take_word("USE")) throw SyntaxError("unknown CREATE parameter");
    in.space();
    in.expect('(');
    if (in.take(')')) return in.expect(')'), args;
    do {
        uint32_t use = parse_special_use(in);
        args.special_use |= use;
        args.unknown_special_use |= use == 0;
    } while (in.take(' '));
    in.expect(')');
    in.expect(')');
    return args;
}

Arguments parse_rename(Scanner& in) {
    RenameArguments args;
    in.space();
    args.from = in.mailbox();
    in.space();
    args.to = in.mailbox();
    return args;
}

Arguments parse_append(Scanner& in) {
    AppendArguments args;
    in.space();
    args.mailbox = in.mailbox();
    in.space();
    args.steps = args.parser.feed(in.take_rest());
    return args;
}

// RFC 8508 5: one message, replaced by one
Arguments parse_replace(Scanner& in) {
    in.space();
    auto set = in.sequence_set();
    bool one = set.ranges.size() == 1 && set.ranges[0].first == set.ranges[0].last;
    if (!one) throw SyntaxError("expected one message number");
    auto args = parse_append(in);
    std::get<AppendArguments>(args).replaced = std::move(set);
    return args;
}

Arguments parse_store(Scanner& in) {
    StoreArguments args;
    in.space();
    args.set = in.sequence_set();
    in.space();
    if (in.take('(')) {  // RFC 7162 7 store-modifier
        if (!in.take_word("UNCHANGEDSINCE")) throw SyntaxError("unknown STORE modifier");
        in.space();
        args.unchanged_since = in.number64();
        in.expect(')');
        in.space();
    }
    if (in.take('+'))
        args.mode = StoreArguments::Mode::add;
    else if (in.take('-'))
        args.mode = StoreArguments::Mode::remove;
    if (in.take_word("FLAGS.SILENT"))
        args.silent = true;
    else if (!in.take_word("FLAGS"))
        throw SyntaxError("expected FLAGS");
    in.space();
    if (in.peek() == '(') {
        args.flags = in.flag_list();
    } else {
        do in.flag(args.flags);
        while (in.take(' '));
    }
    return args;
}

Arguments parse_copy(Scanner& in) {
    CopyArguments args;
    in.space();
    args.set = in.sequence_set();
    in.space();
    args.mailbox = in.mailbox();
    return args;
}

Arguments parse_uidbatches(Scanner& in) {
    UidBatchesArguments args;
    in.space();
    args.size = in.nz_number();
    if (!in.take(' ')) return args;
    uint32_t first = in.nz_number();
    in.expect(':');
    args.batches.emplace(first, in.nz_number());
    return args;
}

Arguments parse_expunge(Scanner&) {
    return ExpungeArguments{};
}

Arguments parse_uid_expunge(Scanner& in) {
    in.space();
    return ExpungeArguments{in.sequence_set()};
}

struct Row {
    std::string_view name;
    Verb verb;
    Arguments (*parse)(Scanner&);
    Arguments (*parse_uid)(Scanner&) = nullptr;  // set for those with a UID form
};

constexpr std::array kCommands = {
    Row{"CAPABILITY", Verb::capability, parse_none},
    Row{"NOOP", Verb::noop, parse_none},
    Row{"LOGOUT", Verb::logout, parse_none},
    Row{"UNAUTHENTICATE", Verb::unauthenticate, parse_none},
    Row{"ID", Verb::id, parse_id},
    Row{"LANGUAGE", Verb::language, parse_language},
    Row{"STARTTLS", Verb::starttls, parse_none},
    Row{"AUTHENTICATE", Verb::authenticate, parse_authenticate},
    Row{"LOGIN", Verb::login, parse_login},
    Row{"ENABLE", Verb::enable, parse_enable},
    Row{"SELECT", Verb::select, parse_select},
    Row{"EXAMINE", Verb::examine, parse_select},
    Row{"CREATE", Verb::create, parse_create},
    Row{"DELETE", Verb::delete_, parse_mailbox},
    Row{"RENAME", Verb::rename, parse_rename},
    Row{"SUBSCRIBE", Verb::subscribe, parse_mailbox},
    Row{"UNSUBSCRIBE", Verb::unsubscribe, parse_mailbox},
    Row{"LIST", Verb::list, parse_list},
    Row{"LSUB", Verb::lsub, parse_lsub},
    Row{"NAMESPACE", Verb::name_space, parse_none},
    Row{"STATUS", Verb::status, parse_status},
    Row{"APPEND", Verb::append, parse_append},
    Row{"GETQUOTA", Verb::getquota, parse_getquota},
    Row{"GETQUOTAROOT", Verb::getquotaroot, parse_mailbox},
    Row{"GETMETADATA", Verb::getmetadata, parse_getmetadata},
    Row{"SETMETADATA", Verb::setmetadata, parse_setmetadata},
    Row{"GETACL", Verb::getacl, parse_mailbox},
    Row{"SETACL", Verb::setacl, parse_setacl},
    Row{"DELETEACL", Verb::deleteacl, parse_identifier},
    Row{"LISTRIGHTS", Verb::listrights, parse_identifier},
    Row{"MYRIGHTS", Verb::myrights, parse_mailbox},
    Row{"GENURLAUTH", Verb::genurlauth, parse_genurlauth},
    Row{"RESETKEY", Verb::resetkey, parse_resetkey},
    Row{"URLFETCH", Verb::urlfetch, parse_urlfetch},
    Row{"COMPRESS", Verb::compress, parse_compress},
    Row{"IDLE", Verb::idle, parse_none},
    Row{"NOTIFY", Verb::notify, parse_notify},
    Row{"CHECK", Verb::check, parse_none},
    Row{"CLOSE", Verb::close, parse_none},
    Row{"UNSELECT", Verb::unselect, parse_none},
    Row{"EXPUNGE", Verb::expunge, parse_expunge, parse_uid_expunge},
    Row{"SEARCH", Verb::search, parse_search, parse_search},
    Row{"SORT", Verb::sort, parse_sort, parse_sort},
    Row{"THREAD", Verb::thread, parse_thread, parse_thread},
    Row{"CANCELUPDATE", Verb::cancelupdate, parse_cancelupdate},
    Row{"ESEARCH", Verb::esearch, parse_esearch, parse_esearch},  // RFC 7377 2: one of its examples has UID in front
    Row{"UIDBATCHES", Verb::uidbatches, parse_uidbatches},
    Row{"FETCH", Verb::fetch, parse_fetch, parse_fetch},
    Row{"STORE", Verb::store, parse_store, parse_store},
    Row{"COPY", Verb::copy, parse_copy, parse_copy},
    Row{"MOVE", Verb::move, parse_copy, parse_copy},
    Row{"REPLACE", Verb::replace, parse_replace, parse_replace},
};
static_assert(kCommands.size() == static_cast<size_t>(Verb::kEnd));

const Row* find_row(std::string_view name) {
    for (const auto& row : kCommands)
        if (text::iequals(row.name, name)) return &row;
    return nullptr;
}

}  // namespace

std::string_view to_string(Verb verb) {
    for (const auto& row : kCommands)
        if (row.verb == verb) return row.name;
    return "UNKNOWN";
}

std::string find_tag(std::string_view text) {
    try {
        Scanner in(text);
        return std::string(in.tag());
    } catch (const SyntaxError&) {
        return {};
    }
}

Command parse_command(std::string_view text, NameForm names) {
    Scanner in(text, names);
    Command command;
    command.tag = in.tag();
    in.space();
    auto name = in.atom("command");
    if (text::iequals(name, "UID")) {
        command.numbers = Numbers::uid;
        in.space();
        name = in.atom("command");
    }
    const Row* row = find_row(name);
    if (row == nullptr || (command.numbers == Numbers::uid && row->parse_uid == nullptr))
        throw SyntaxError("unknown command");
    command.verb = row->verb;
    command.arguments = command.numbers == Numbers::uid ? row->parse_uid(in) : row->parse(in);
    in.end();
    return command;
}

bool is_message_literal(std::string_view text, size_t literal) {
    try {
        Scanner in(text.substr(0, literal));
        in.tag();
        in.space();
        if (in.take_word("UID")) in.space();
        if (in.take_word("REPLACE")) {
            in.space();
            in.sequence_set();
        } else if (!in.take_word("APPEND")) {
            return false;
        }
        in.space();
        in.astring();
        in.space();
        return is_further_message_literal(text, literal);
    } catch (const SyntaxError&) {
        return false;
    }
}

bool is_further_message_literal(std::string_view text, size_t literal) {
    constexpr std::string_view kUrl = "URL ";
    return literal < kUrl.size() || !text::iequals(text.substr(literal - kUrl.size(), kUrl.size()), kUrl);
}

}  // namespace mox::imapd
