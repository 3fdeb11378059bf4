// The parser of the configuration grammar: tokens to a tree of statements; see syntax.h for the grammar.
//
// After an error it goes on with the next statement, stepping over the blocks of the bad one. The depth of the
// recursion is bounded by kMaxDepth.
#include "common/config/syntax.h"

#include <algorithm>
#include <fmt/format.h>

#include "common/config/lexer.h"
#include "common/text/ascii.h"

namespace mox::config {
namespace {

bool is_keyword(const Token& token) {
    return token.kind == TokenKind::bare && token.text[0] >= 'a' && token.text[0] <= 'z' &&
           std::ranges::all_of(token.text,
                               [](char c) { return (c >= 'a' && c <= 'z') || text::is_digit(c) || c == '-'; });
}

class Parser {
  public:
    Parser(std::string_view text, const Limits& limits, Diagnostics& diagnostics)
        : lexer_(text, diagnostics), limits_(limits), diagnostics_(diagnostics) {
        step();
    }

    std::vector<Statement> file();

  private:
    void step() { token_ = lexer_.next(); }
    void skip_newlines() {
        while (token_.kind == TokenKind::newline) step();
    }
    void fail(std::string message, std::string expected);
    void recover();
    bool count_word();
    void statements(std::vector<Statement>& out, size_t depth);
    bool statement(Statement& out, size_t depth);
    bool argument(Statement& out);
    bool block(Statement& out, size_t depth);

    Lexer lexer_;
    const Limits& limits_;
    Diagnostics& diagnostics_;
    Token token_;
    size_t words_ = 0;
    bool stopped_ = false;  // a bound of the file was reached: nothing more is read
};

void Parser::fail(std::string message, std::string expected) {
    // The lexer has reported a bad token already.
    if (token_.kind != TokenKind::bad) diagnostics_.add(token_.position, std::move(message), std::move(expected));
}

/// To the end of the statement, over blocks it may have.
void Parser::recover() {
    size_t open = 0;
    while (token_.kind != TokenKind::end) {
        if (open == 0 && token_.ends_statement()) return;
        if (token_.kind == TokenKind::open) open++;
        if (token_.kind == TokenKind::close) open--;
        step();
    }
}

bool Parser::count_word() {
    if (++words_ <= limits_.words) return true;
    if (!stopped_) {
        diagnostics_.add(token_.position, "too many statements and words in the file",
                         fmt::format("at most {}", limits_.words));
    }
    stopped_ = true;
    return false;
}

std::vector<Statement> Parser::file() {
    std::vector<Statement> out;
    while (true) {
        statements(out, 0);
        if (stopped_ || token_.kind == TokenKind::end) return out;
        fail("a '}' that closes nothing", "a keyword");
        step();
    }
}

/// Reads up to the "}" or the end of the file, which stays the current token.
void Parser::statements(std::vector<Statement>& out, size_t depth) {
    while (!stopped_ && token_.kind != TokenKind::end && token_.kind != TokenKind::close) {
        if (token_.kind == TokenKind::newline || token_.kind == TokenKind::semicolon) {
            step();
            continue;
        }
        Statement one;
        if (statement(one, depth)) {
            out.push_back(std::move(one));
        } else {
            recover();
        }
    }
}

bool Parser::statement(Statement& out, size_t depth) {
    if (!is_keyword(token_)) {
        fail(fmt::format("{} where a statement begins", token_.is_word() ? shown(token_.text) : describe(token_)),
             "a keyword");
        return false;
    }
    if (!count_word()) return false;
    out.keyword = std::move(token_.text);
    out.position = token_.position;
    out.span = token_.span;
    step();
    while (token_.is_word()) {
        if (!argument(out)) return false;
    }
    if (token_.kind == TokenKind::open && !block(out, depth)) return false;
    if (token_.ends_statement()) return true;
    if (out.has_block == HasBlock::yes) {
        fail(fmt::format("{} behind a block", describe(token_)), "end of line, ';' or '}'");
    } else {
        fail(fmt::format("{} behind '{}'", describe(token_), out.keyword), "a word, '{', ';' or end of line");
    }
    return false;
}

bool Parser::argument(Statement& out) {
    if (out.arguments.size() == kMaxArguments) {
        fail(fmt::format("too many words behind '{}'", out.keyword), fmt::format("at most {}", kMaxArguments));
        return false;
    }
    Argument argument;
    while (true) {
        if (!token_.is_word()) {
            fail(fmt::format("{} behind ','", describe(token_)), "another word of the list");
            return false;
        }
        if (!count_word()) return false;
        argument.words.push_back({std::move(token_.text), token_.position, token_.span});
        step();
        if (token_.kind != TokenKind::comma) break;
        step();
        skip_newlines();
    }
    out.span.end = argument.words.back().span.end;
    out.arguments.push_back(std::move(argument));
    return true;
}

bool Parser::block(Statement& out, size_t depth) {
    if (depth == kMaxDepth) {
        fail("blocks nested too deep", fmt::format("at most {} levels", kMaxDepth));
        return false;
    }
    Position open = token_.position;
    out.has_block = HasBlock::yes;
    out.block_span.begin = token_.span.begin;
    step();
    statements(out.block, depth + 1);
    if (stopped_) return false;
    if (token_.kind != TokenKind::close) {
        diagnostics_.add(open, fmt::format("the block of '{}' has no end", out.keyword),
                         "a '}' before the end of the file");
        return true;
    }
    out.span.end = out.block_span.end = token_.span.end;
    step();
    return true;
}

}  // namespace

std::vector<Statement> parse_syntax(std::string_view text, const Limits& limits, Diagnostics& diagnostics) {
    if (text.size() > limits.bytes) {
        diagnostics.add({}, fmt::format("the file has {} bytes", text.size()), fmt::format("at most {}", limits.bytes));
        return {};
    }
    if (!check_characters(text, diagnostics)) return {};
    return Parser(text, limits, diagnostics).file();
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace mox::config
