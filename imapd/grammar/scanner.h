// The tokens of IMAP: a cursor over one whole command whose literals stand in place, `{n}` CRLF and the n bytes.
//
// Each function takes one token of RFC 3501 9 from the cursor or throws SyntaxError with a text for the client. Nothing
// is remembered but the position; every bound (ranges of a set, sizes) is checked here.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "imapd/grammar/sequence_set.h"

namespace mox::imapd {

/// The command does not follow the grammar: answered with BAD and the text.
struct SyntaxError : std::exception {
    explicit SyntaxError(std::string what) : text(std::move(what)) {}
    const char* what() const noexcept override { return text.c_str(); }
    std::string text;
};

/// Flags as a command names them: those that are bits (proto::Flag) and the other keywords.
struct FlagList {
    uint32_t bits = 0;
    std::vector<std::string> keywords;

    friend bool operator==(const FlagList&, const FlagList&) = default;
};

/// How mailbox names are written: modified UTF-7 (RFC 3501 5.1.3), or UTF-8 where the client enabled it (RFC 6855 3,
/// RFC 9051 5.1).
enum class NameForm : uint8_t { utf7, utf8, kEnd };

/// A mailbox name as the storage knows it: UTF-8, INBOX in its one spelling (RFC 3501 5.1). Throws SyntaxError for what
/// is not in that form.
std::string decode_mailbox_name(std::string_view wire, NameForm form = NameForm::utf7);
/// The other way, for answers.
std::string encode_mailbox_name(std::string_view name, NameForm form = NameForm::utf7);

/// `1:100` or `-1:-100`: some of a list of results, as written (RFC 9394 4).
struct PartialRange {
    bool from_end = false;
    uint32_t first = 0;
    uint32_t last = 0;
};

class Scanner {
  public:
    explicit Scanner(std::string_view text, NameForm names = NameForm::utf7) : text_(text), names_(names) {}

    bool at_end() const { return at_ == text_.size(); }
    size_t position() const { return at_; }
    std::string_view rest() const { return text_.substr(at_); }
    std::string_view take_rest() { return text_.substr(std::exchange(at_, text_.size())); }
    /// The next byte, NUL at the end.
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    /// Takes the byte if it is next.
    bool take(char c);
    /// Takes the word, in any case, if it is next and no longer atom begins with it.
    bool take_word(std::string_view word);
    /// Takes these bytes, in any case, if they are next.
    bool take_prefix(std::string_view prefix);
    void expect(char c);
    void space();
    void end();

    std::string_view tag();
    std::string_view atom(std::string_view what);
    std::string string();
    std::string astring();
    std::optional<std::string> nstring();
    /// `nstring / literal8`: any bytes (RFC 5464 5 value).
    std::optional<std::string> nstring8();
    /// `mailbox` of RFC 3501 9, decoded.
    std::string mailbox();
    /// `list-mailbox`: a pattern, still encoded.
    std::string list_mailbox();
    uint32_t number();
    uint32_t nz_number();
    uint64_t number64();
    SequenceSet sequence_set();
    PartialRange partial_range();
    /// One flag, added to the list.
    void flag(FlagList& list);
    /// `(flag flag)`.
    FlagList flag_list();

  private:
    std::string_view take_while(bool (*accept)(char));
    std::string quoted();
    std::string literal();
    uint32_t sequence_number();
    std::string_view text_;
    NameForm names_;
    size_t at_ = 0;
};

}  // namespace mox::imapd
