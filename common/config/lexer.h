// Cuts configuration text into tokens. Used by the parser in syntax.cc only.
//
// Invariant: every call of next() consumes at least one byte or returns TokenKind::end, so parsing ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/diagnostic.h"
#include "common/config/syntax.h"

namespace mox::config {

enum class TokenKind : uint8_t { bare, string, comma, semicolon, open, close, newline, bad, end };

struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;  // of bare and string
    Position position;
    Span span;

    bool is_word() const { return kind == TokenKind::bare || kind == TokenKind::string; }
    bool ends_statement() const {
        return kind == TokenKind::newline || kind == TokenKind::semicolon || kind == TokenKind::close ||
               kind == TokenKind::end;
    }
};

/// What the token is called in a message: "'{'", "end of line", ...
std::string describe(const Token& token);

class Lexer {
  public:
    /// `text` and `diagnostics` must outlive the lexer.
    Lexer(std::string_view text, Diagnostics& diagnostics);

    /// The next token. A malformed word is reported and comes back as TokenKind::bad.
    Token next();

  private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool done() const { return at_ >= text_.size(); }
    void advance();
    void skip_blanks();
    Token begin_token() const;
    Token finish(Token token, TokenKind kind) const;
    Token bare_word();
    Token quoted_word();
    Token bad(Token token, std::string message, std::string expected);

    std::string_view text_;
    Diagnostics& diagnostics_;
    size_t at_ = 0;
    Position position_{1, 1};
};

/// Refuses what is not text: bytes that are not UTF-8, control characters, CR without LF. Reports the first one.
/// Returns whether the text is clean.
bool check_characters(std::string_view text, Diagnostics& diagnostics);

}  // namespace mox::config
