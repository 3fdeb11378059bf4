// Walks the text of a structured header field: atoms, quoted strings, comments and folding white space.
//
// It owns nothing but a position; the text must outlive it. Everything is tolerant: what does not end (a comment, a
// quoted string) ends with the text, CR and LF count as white space, bytes above 0x7f count as atom text. Parsers of
// addresses, dates and parameters are built on it. It never looks outside the text and is linear in its length.
// RFCs: 5322 3.2 (lexical tokens), 4.1 (obsolete ones).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/text/ascii.h"

namespace mox::mail {

/// atext of RFC 5322 3.2.3, without the bytes above 0x7f.
constexpr bool is_atext(char c) {
    return text::is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}
/// A token character of RFC 2045 5.1: printable ASCII but no space and no tspecials.
constexpr bool is_mime_token(char c) {
    return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}
/// White space of a field as it came in: SP, HTAB, and the CR and LF of folding.
constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
constexpr bool is_8bit(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool done() const { return pos_ >= text_.size(); }
    /// The next character, NUL at the end.
    char peek() const { return done() ? '\0' : text_[pos_]; }
    size_t position() const { return pos_; }
    void seek(size_t position) { pos_ = position; }
    void skip(size_t count = 1) { pos_ = pos_ + count > text_.size() ? text_.size() : pos_ + count; }
    std::string_view rest() const { return done() ? std::string_view() : text_.substr(pos_); }

    bool accept(char c) {
        if (done() || text_[pos_] != c) return false;
        ++pos_;
        return true;
    }
    template <class Predicate>
    std::string_view take_while(Predicate predicate) {
        auto start = pos_;
        while (!done() && predicate(text_[pos_])) ++pos_;
        return text_.substr(start, pos_ - start);
    }
    /// Skips blanks and comments (RFC 5322 3.2.2); comments nest. True if anything was skipped.
    bool skip_cfws();
    /// At a `"`: the content without quotes, backslashes of quoted pairs and folding (RFC 5322 3.2.4).
    std::string take_quoted();
    /// At a `[`: the domain literal with its brackets, without blanks (RFC 5322 3.4.1).
    std::string take_literal();
    /// The content of the comment skipped last, unescaped; empty if there was none since clear_comment().
    const std::string& comment() const { return comment_; }
    void clear_comment() { comment_.clear(); }

  private:
    void skip_comment();

    std::string_view text_;
    size_t pos_ = 0;
    std::string comment_;
};

}  // namespace mox::mail
