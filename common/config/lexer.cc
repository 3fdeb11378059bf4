// Tokens of the configuration grammar; see syntax.h for the grammar.
#include "common/config/lexer.h"

#include <fmt/format.h>

#include "common/text/ascii.h"

namespace mox::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_bare(char c) {
    constexpr std::string_view kMarks = "._-+/:@*";
    return text::is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 || kMarks.contains(c);
}

/// May stand directly behind a word.
bool is_separator(char c) {
    constexpr std::string_view kSeparators = " \t\r\n,;{}";
    return c == '\0' || kSeparators.contains(c);
}

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Bytes of the UTF-8 character at the front of `s`; 0 when it is not one (RFC 3629 4).
size_t utf8_length(std::string_view s) {
    auto byte = [&](size_t i) -> unsigned { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; };
    auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
        return byte(i) >= low && byte(i) <= high;
    };
    unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
        unsigned high = lead == 0xed ? 0x9f : 0xbf;
        return follows(1, low, high) && follows(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        unsigned low = lead == 0xf0 ? 0x90 : 0x80;
        unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
        return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

/// What is wrong with the character at the front of `s`; empty when nothing.
std::string_view character_fault(std::string_view s, size_t length) {
    if (length == 0) return "a byte that is not UTF-8";
    char c = s[0];
    if (c == '\r') return s.size() > 1 && s[1] == '\n' ? "" : "a carriage return without a line feed";
    bool control = (c >= 0 && c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
    return control ? "a control character" : "";
}

}  // namespace

bool check_characters(std::string_view text, Diagnostics& diagnostics) {
    Position position{1, 1};
    for (size_t i = 0; i < text.size();) {
        size_t length = utf8_length(text.substr(i));
        std::string_view fault = character_fault(text.substr(i), length);
        if (!fault.empty()) {
            diagnostics.add(position, fmt::format("{} (byte 0x{:02x})", fault, static_cast<unsigned char>(text[i])),
                            "text in UTF-8");
            return false;
        }
        position = text[i] == '\n' ? Position{position.line + 1, 1} : Position{position.line, position.column + 1};
        i += length;
    }
    return true;
}

std::string describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::comma:
            return "','";
        case TokenKind::semicolon:
            return "';'";
        case TokenKind::open:
            return "'{'";
        case TokenKind::close:
            return "'}'";
        case TokenKind::newline:
            return "end of line";
        case TokenKind::end:
            return "end of file";
        case TokenKind::string:
            return "a string";
        default:
            return "a word";
    }
}

Lexer::Lexer(std::string_view text, Diagnostics& diagnostics) : text_(text), diagnostics_(diagnostics) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
}

void Lexer::advance() {
    char c = text_[at_++];
    if (c == '\n') {
        position_ = {position_.line + 1, 1};
    } else if (done() || !is_continuation(text_[at_])) {
        position_.column++;
    }
}

void Lexer::skip_blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r') advance();
    if (peek() != '#') return;
    while (!done() && peek() != '\n') advance();
}

Token Lexer::begin_token() const {
    Token token;
    token.position = position_;
    token.span.begin = static_cast<uint32_t>(at_);
    return token;
}

Token Lexer::finish(Token token, TokenKind kind) const {
    token.kind = kind;
    token.span.end = static_cast<uint32_t>(at_);
    return token;
}

Token Lexer::bad(Token token, std::string message, std::string expected) {
    diagnostics_.add(position_, std::move(message), std::move(expected));
    while (!done() && !is_separator(peek())) advance();
    return finish(std::move(token), TokenKind::bad);
}

Token Lexer::next() {
    skip_blanks();
    Token token = begin_token();
    if (done()) return finish(std::move(token), TokenKind::end);
    auto single = [&](TokenKind kind) {
        advance();
        return finish(std::move(token), kind);
    };
    switch (peek()) {
        case '\n':
            return single(TokenKind::newline);
        case ',':
            return single(TokenKind::comma);
        case ';':
            return single(TokenKind::semicolon);
        case '{':
            return single(TokenKind::open);
        case '}':
            return single(TokenKind::close);
        case '"':
            return quoted_word();
        default:
            return bare_word();
    }
}

Token Lexer::bare_word() {
    Token token = begin_token();
    while (!done() && is_bare(peek())) advance();
    if (!is_separator(peek())) {
        if (peek() == '#') {
            return bad(std::move(token), "'#' inside a word",
                       "a blank before the comment, or the word in double quotes");
        }
        return bad(std::move(token), fmt::format("character '{}' in a bare word", peek()), "the word in double quotes");
    }
    token.text = text_.substr(token.span.begin, at_ - token.span.begin);
    if (token.text.size() > kMaxWordBytes) {
        diagnostics_.add(token.position, "a word that is too long", fmt::format("at most {} bytes", kMaxWordBytes));
        return finish(std::move(token), TokenKind::bad);
    }
    return finish(std::move(token), TokenKind::bare);
}

Token Lexer::quoted_word() {
    Token token = begin_token();
    bool escapes_good = true;
    advance();
    while (!done() && peek() != '"' && peek() != '\n') {
        if (peek() == '\\') {
            advance();
            if (peek() != '"' && peek() != '\\' && escapes_good) {
                diagnostics_.add(position_, "an unknown escape in a string", "\\\" or \\\\");
                escapes_good = false;
            }
            if (done() || peek() == '\n') break;
        }
        token.text += peek();
        advance();
    }
    if (peek() != '"') {
        diagnostics_.add(token.position, "a string without an end", "a closing '\"' in the same line");
        return finish(std::move(token), TokenKind::bad);
    }
    advance();
    if (!is_separator(peek()))
        return bad(std::move(token), "no blank behind a string", "a blank, ',', ';' or end of line");
    if (token.text.size() > kMaxWordBytes) {
        diagnostics_.add(token.position, "a string that is too long", fmt::format("at most {} bytes", kMaxWordBytes));
        return finish(std::move(token), TokenKind::bad);
    }
    return finish(std::move(token), escapes_good ? TokenKind::string : TokenKind::bad);
}

}  // namespace mox::config
