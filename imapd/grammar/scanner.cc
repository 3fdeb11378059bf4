#include "imapd/grammar/scanner.h"

#include <array>
#include <limits>

#include "common/mail/utf7.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"
#include "proto/account.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxPattern = 1000;  // bytes; mailbox names are shorter, and matching takes the product of both
constexpr size_t kMaxKeyword = 128;   // bytes of a keyword's name

bool is_ctl(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
bool is_8bit(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}
// RFC 3501 9 ATOM-CHAR: any CHAR except atom-specials
bool is_atom_char(char c) {
    return !is_ctl(c) && !is_8bit(c) && std::string_view("(){ %*\"\\]").find(c) == std::string_view::npos;
}
// RFC 3501 9 ASTRING-CHAR: ATOM-CHAR / resp-specials
bool is_astring_char(char c) {
    return is_atom_char(c) || c == ']';
}
// RFC 3501 9 list-char: ATOM-CHAR / list-wildcards / resp-specials
bool is_list_char(char c) {
    return is_astring_char(c) || c == '%' || c == '*';
}
// RFC 3501 9 tag: any ASTRING-CHAR except "+"
bool is_tag_char(char c) {
    return is_astring_char(c) && c != '+';
}

struct NamedFlag {
    std::string_view name;
    uint32_t bit;
};
constexpr std::array kSystemFlags = {NamedFlag{"Seen", proto::kSeen}, NamedFlag{"Answered", proto::kAnswered},
                                     NamedFlag{"Flagged", proto::kFlagged}, NamedFlag{"Deleted", proto::kDeleted},
                                     NamedFlag{"Draft", proto::kDraft}};
constexpr std::array kKnownKeywords = {NamedFlag{"$Forwarded", proto::kForwarded}, NamedFlag{"$Junk", proto::kJunk},
                                       NamedFlag{"$NotJunk", proto::kNotJunk}, NamedFlag{"$Phishing", proto::kPhishing},
                                       NamedFlag{"$MDNSent", proto::kMdnSent}};

}  // namespace

std::string decode_mailbox_name(std::string_view wire, NameForm form) {
    std::string name(wire);
    if (form == NameForm::utf7) {
        auto decoded = mail::decode_utf7(wire);
        if (!decoded) throw SyntaxError("mailbox name is not in modified UTF-7");  // RFC 3501 5.1.3
        name = std::move(*decoded);
    } else if (!mail::is_utf8(wire)) {
        throw SyntaxError("mailbox name is not in UTF-8");  // RFC 6855 3
    }
    // RFC 3501 5.1: INBOX is one name in any case; its children follow it.
    if (text::istarts_with(name, "inbox") && (name.size() == 5 || name[5] == '/')) name.replace(0, 5, "INBOX");
    return name;
}

std::string encode_mailbox_name(std::string_view name, NameForm form) {
    if (form == NameForm::utf8) return std::string(name);
    return mail::encode_utf7(name).value_or(std::string());
}

bool Scanner::take(char c) {
    if (at_end() || text_[at_] != c) return false;
    at_++;
    return true;
}

bool Scanner::take_prefix(std::string_view prefix) {
    if (!text::istarts_with(rest(), prefix)) return false;
    at_ += prefix.size();
    return true;
}

bool Scanner::take_word(std::string_view word) {
    if (!text::istarts_with(rest(), word)) return false;
    size_t after = at_ + word.size();
    if (after < text_.size() && is_atom_char(text_[after])) return false;
    at_ = after;
    return true;
}

void Scanner::expect(char c) {
    if (take(c)) return;
    throw SyntaxError(at_end() ? std::string("command ends too early, expected '") + c + "'"
                               : std::string("expected '") + c + "'");
}

void Scanner::space() {
    if (take(' ')) return;
    throw SyntaxError(at_end() ? "missing argument" : "expected a space");
}

void Scanner::end() {
    if (!at_end()) throw SyntaxError("unexpected text at the end of the command");
}

std::string_view Scanner::take_while(bool (*accept)(char)) {
    size_t begin = at_;
    while (at_ < text_.size() && accept(text_[at_])) at_++;
    return text_.substr(begin, at_ - begin);
}

std::string_view Scanner::tag() {
    auto tag = take_while(is_tag_char);
    if (tag.empty()) throw SyntaxError("missing tag");
    return tag;
}

std::string_view Scanner::atom(std::string_view what) {
    auto atom = take_while(is_atom_char);
    if (atom.empty()) throw SyntaxError("missing " + std::string(what));
    return atom;
}

std::string Scanner::quoted() {
    expect('"');
    std::string out;
    for (;;) {
        if (at_end()) throw SyntaxError("quoted string without its end");
        char c = text_[at_++];
        if (c == '"') return out;
        if (c == '\\') {
            // RFC 3501 9 QUOTED-CHAR: only quoted-specials are escaped
            if (peek() != '"' && peek() != '\\') throw SyntaxError("wrong escape in a quoted string");
            c = text_[at_++];
        }
        // DEVIATES RFC 3501 9: 8-bit bytes are taken, there are clients that send UTF-8 passwords so.
        if (c == '\r' || c == '\n' || c == '\0') throw SyntaxError("control character in a quoted string");
        out += c;
    }
}

std::string Scanner::literal() {
    bool binary = take('~');  // RFC 4466 4 literal8
    expect('{');
    uint64_t size = number64();
    take('+');  // RFC 7888
    expect('}');
    if (rest().size() < 2 || rest().substr(0, 2) != "\r\n") throw SyntaxError("wrong literal");
    at_ += 2;
    if (size > rest().size()) throw SyntaxError("wrong literal");
    std::string bytes(rest().substr(0, size));
    at_ += size;
    if (!binary && bytes.find('\0') != std::string::npos) throw SyntaxError("NUL in a literal");  // RFC 3501 9 CHAR8
    return bytes;
}

std::string Scanner::string() {
    if (peek() == '"') return quoted();
    if (peek() == '{') return literal();
    throw SyntaxError("expected a string");
}

std::string Scanner::astring() {
    if (peek() == '"' || peek() == '{') return string();
    auto atom = take_while(is_astring_char);
    if (atom.empty()) throw SyntaxError("missing argument");
    return std::string(atom);
}

std::optional<std::string> Scanner::nstring() {
    if (take_word("NIL")) return std::nullopt;
    return string();
}

std::optional<std::string> Scanner::nstring8() {
    if (text::istarts_with(rest(), "~{")) return literal();
    return nstring();
}

std::string Scanner::mailbox() {
    return decode_mailbox_name(astring(), names_);
}

std::string Scanner::list_mailbox() {
    std::string pattern;
    if (peek() == '"' || peek() == '{') {
        pattern = string();
    } else {
        pattern = take_while(is_list_char);
        if (pattern.empty()) throw SyntaxError("missing mailbox pattern");
    }
    if (pattern.size() > kMaxPattern) throw SyntaxError("mailbox pattern too long");
    return pattern;
}

uint64_t Scanner::number64() {
    auto digits = take_while(text::is_digit);
    auto value = text::parse_number<uint64_t>(digits);
    if (!value || *value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        throw SyntaxError("expected a number");
    return *value;
}

uint32_t Scanner::number() {
    uint64_t value = number64();
    if (value > std::numeric_limits<uint32_t>::max()) throw SyntaxError("number too large");
    return static_cast<uint32_t>(value);
}

uint32_t Scanner::nz_number() {
    // RFC 3501 9 nz-number: begins with a digit other than 0
    if (peek() == '0') throw SyntaxError("expected a number above 0");
    return number();
}

PartialRange Scanner::partial_range() {
    // RFC 9394 4 partial-range: both from the beginning, or both from the end
    PartialRange range;
    range.from_end = take('-');
    range.first = nz_number();
    expect(':');
    if (range.from_end) expect('-');
    range.last = nz_number();
    return range;
}

uint32_t Scanner::sequence_number() {
    return take('*') ? 0 : nz_number();
}

SequenceSet Scanner::sequence_set() {
    SequenceSet set;
    if (take('$')) {  // RFC 5182 5 seq-last-command
        set.saved = true;
        return set;
    }
    do {
        SequenceRange range;
        range.first = range.last = sequence_number();
        if (take(':')) range.last = sequence_number();
        if (set.ranges.size() == kMaxRanges) throw SyntaxError("too many ranges in the message set");
        set.ranges.push_back(range);
    } while (take(','));
    return set;
}

void Scanner::flag(FlagList& list) {
    if (take('\\')) {
        auto name = atom("flag");
        for (const auto& flag : kSystemFlags) {
            if (!text::iequals(flag.name, name)) continue;
            list.bits |= flag.bit;
            return;
        }
        // RFC 3501 2.3.2: \Recent cannot be changed by clients. DEVIATES RFC 3501 9: some send it back with the others.
        if (text::iequals(name, "Recent")) return;
        throw SyntaxError("unknown system flag");
    }
    auto name = atom("flag");
    for (const auto& flag : kKnownKeywords) {
        if (!text::iequals(flag.name, name)) continue;
        list.bits |= flag.bit;
        return;
    }
    if (name.size() > kMaxKeyword) throw SyntaxError("keyword too long");
    if (list.keywords.size() == proto::kMaxKeywords) throw SyntaxError("too many keywords");
    for (const auto& known : list.keywords)
        if (text::iequals(known, name)) return;
    list.keywords.emplace_back(name);
}

FlagList Scanner::flag_list() {
    FlagList list;
    expect('(');
    if (take(')')) return list;
    do flag(list);
    while (take(' '));
    expect(')');
    return list;
}

}  // namespace mox::imapd
