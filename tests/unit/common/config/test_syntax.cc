#include "common/config/syntax.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox::config;

namespace {

std::string show(const std::vector<Statement>& statements) {
    std::string out;
    for (const Statement& s : statements) {
        out += s.keyword;
        for (const Argument& argument : s.arguments) {
            out += ' ';
            for (size_t i = 0; i < argument.words.size(); i++)
                out += (i ? "," : "") + ("<" + argument.words[i].text + ">");
        }
        if (s.has_block == HasBlock::yes) out += "{" + show(s.block) + "}";
        out += ";";
    }
    return out;
}

std::string tree(std::string_view text) {
    Diagnostics diagnostics("f");
    auto statements = parse_syntax(text, kConfigLimits, diagnostics);
    if (!diagnostics.empty()) return lines(diagnostics.take());
    return show(statements);
}

std::string syntax_errors(std::string_view text, const Limits& limits = kConfigLimits) {
    Diagnostics diagnostics("f");
    parse_syntax(text, limits, diagnostics);
    return lines(diagnostics.take());
}

}  // namespace

TEST_CASE("statements, lists and blocks become a tree") {
    struct Row {
        std::string_view text, tree;
    };
    const Row rows[] = {
        {"", ""},
        {"\n\n;;\n", ""},
        {"# only a comment", ""},
        {"a", "a;"},
        {"a b\nc d", "a <b>;c <d>;"},
        {"a b; c d", "a <b>;c <d>;"},
        {"a b c", "a <b> <c>;"},
        {"a b, c d", "a <b>,<c> <d>;"},
        {"a b,c", "a <b>,<c>;"},
        {"a b,\n\n  # why\n  c # end\nd", "a <b>,<c>;d;"},
        {"a { b; c }", "a{b;c;};"},
        {"a {}", "a{};"},
        {"a{b}", "a{b;};"},
        {"a x {\n b y\n c { d }\n}\ne", "a <x>{b <y>;c{d;};};e;"},
        {"a { b };c", "a{b;};c;"},
        {"a \"x y\" \"\"", "a <x y> <>;"},
        {"a \"q\\\"b\\\\\"", "a <q\"b\\>;"},
        {"a \"# no { comment ; }\" # yes", "a <# no { comment ; }>;"},
        {"a 2001:db8::1, *@x.y, /p/q_r+s", "a <2001:db8::1>,<*@x.y>,</p/q_r+s>;"},
        {"a b\r\nc d\r\n", "a <b>;c <d>;"},
        {"\xef\xbb\xbf"
         "a b",
         "a <b>;"},
        {"a b\xc3\xbc"
         "cher",
         "a <b\xc3\xbc"
         "cher>;"},
        {"a-1 b", "a-1 <b>;"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(tree(row.text) == row.tree);
    }
}

TEST_CASE("what is wrong in the syntax is told with its place") {
    struct Row {
        std::string text, errors;
    };
    const Row rows[] = {
        {"\"a\" b", "f:1:1: 'a' where a statement begins, expected a keyword\n"},
        {"A b", "f:1:1: 'A' where a statement begins, expected a keyword\n"},
        {"1 b", "f:1:1: '1' where a statement begins, expected a keyword\n"},
        {"{ a }", "f:1:1: '{' where a statement begins, expected a keyword\n"},
        {"a ,b", "f:1:3: ',' behind 'a', expected a word, '{', ';' or end of line\n"},
        {"a b,;", "f:1:5: ';' behind ',', expected another word of the list\n"},
        {"a b,,c", "f:1:5: ',' behind ',', expected another word of the list\n"},
        {"a b,", "f:1:5: end of file behind ',', expected another word of the list\n"},
        {"a {} b", "f:1:6: a word behind a block, expected end of line, ';' or '}'\n"},
        {"a {} {}", "f:1:6: '{' behind a block, expected end of line, ';' or '}'\n"},
        {"a {\n b\n", "f:1:3: the block of 'a' has no end, expected a '}' before the end of the file\n"},
        {"a\n  }\nb", "f:2:3: a '}' that closes nothing, expected a keyword\n"},
        {"a\n{ b }", "f:2:1: '{' where a statement begins, expected a keyword\n"},
        {"a \"b", "f:1:3: a string without an end, expected a closing '\"' in the same line\n"},
        {"a \"b\nc\"",
         "f:1:3: a string without an end, expected a closing '\"' in the same line\n"
         "f:2:2: character '\"' in a bare word, expected the word in double quotes\n"},
        {"a \"b\\n\"", "f:1:6: an unknown escape in a string, expected \\\" or \\\\\n"},
        {"a \"b\"c", "f:1:6: no blank behind a string, expected a blank, ',', ';' or end of line\n"},
        {"a b#c", "f:1:4: '#' inside a word, expected a blank before the comment, or the word in double quotes\n"},
        {"a b=c", "f:1:4: character '=' in a bare word, expected the word in double quotes\n"},
        {"a $b", "f:1:3: character '$' in a bare word, expected the word in double quotes\n"},
        {"a \xc3\xbc=", "f:1:4: character '=' in a bare word, expected the word in double quotes\n"},
        {"a\tb=", "f:1:4: character '=' in a bare word, expected the word in double quotes\n"},
        {"a b\x01", "f:1:4: a control character (byte 0x01), expected text in UTF-8\n"},
        {std::string("a \0b", 4), "f:1:3: a control character (byte 0x00), expected text in UTF-8\n"},
        {"a \n\xff", "f:2:1: a byte that is not UTF-8 (byte 0xff), expected text in UTF-8\n"},
        {"a \xc0\xaf", "f:1:3: a byte that is not UTF-8 (byte 0xc0), expected text in UTF-8\n"},
        {"a \xed\xa0\x80", "f:1:3: a byte that is not UTF-8 (byte 0xed), expected text in UTF-8\n"},
        {"a\rb", "f:1:2: a carriage return without a line feed (byte 0x0d), expected text in UTF-8\n"},
        // All errors, with the statements between them read.
        {"a b=\nok\nX {\n y }\nc ,\n",
         "f:1:4: character '=' in a bare word, expected the word in double quotes\n"
         "f:3:1: 'X' where a statement begins, expected a keyword\n"
         "f:5:3: ',' behind 'c', expected a word, '{', ';' or end of line\n"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(syntax_errors(row.text) == row.errors);
    }
}

TEST_CASE("every bound of the syntax holds") {
    std::string deepest, too_deep;
    for (size_t i = 0; i < kMaxDepth; i++) deepest += "a {";
    too_deep = deepest + "a {";
    CHECK(syntax_errors(deepest + "b" + std::string(kMaxDepth, '}')).empty());
    CHECK(syntax_errors(too_deep + "b" + std::string(kMaxDepth + 1, '}')) ==
          "f:1:27: blocks nested too deep, expected at most 8 levels\n");

    CHECK(syntax_errors("a " + std::string(kMaxWordBytes, 'x')).empty());
    CHECK(syntax_errors("a " + std::string(kMaxWordBytes + 1, 'x')) ==
          "f:1:3: a word that is too long, expected at most 4096 bytes\n");
    CHECK(syntax_errors("a \"" + std::string(kMaxWordBytes + 1, 'x') + "\"") ==
          "f:1:3: a string that is too long, expected at most 4096 bytes\n");

    std::string words = "a";
    for (size_t i = 0; i < kMaxArguments; i++) words += " x";
    CHECK(syntax_errors(words).empty());
    CHECK(syntax_errors(words + " x") == "f:1:35: too many words behind 'a', expected at most 16\n");

    CHECK(syntax_errors("a b\nc d", {100, 4}).empty());
    CHECK(syntax_errors("a b\nc d\ne f", {100, 4}) ==
          "f:3:1: too many statements and words in the file, expected at most 4\n");
    CHECK(syntax_errors("a {b {c d", {100, 3}) ==
          "f:1:9: too many statements and words in the file, expected at most 3\n");
    CHECK(syntax_errors("a b c", {4, 10}) == "f: the file has 5 bytes, expected at most 4\n");
}

TEST_CASE("a file of garbage gives a bounded number of messages") {
    std::string text;
    for (int i = 0; i < 1000; i++) text += "a ,\n";
    Diagnostics diagnostics("f");
    parse_syntax(text, kConfigLimits, diagnostics);
    auto all = diagnostics.take();
    REQUIRE(all.size() == kMaxDiagnostics + 1);
    CHECK(format(all.back()) == "f: 980 more errors are not shown");
    CHECK(shown(std::string(100, 'x')) == "'" + std::string(40, 'x') + "...'");
}

TEST_CASE("statements know their bytes") {
    std::string_view text = "# c\na \"b\", c { d } # e\nf g;";
    Diagnostics diagnostics("f");
    auto statements = parse_syntax(text, kConfigLimits, diagnostics);
    REQUIRE(statements.size() == 2);
    auto slice = [&](Span span) { return text.substr(span.begin, span.end - span.begin); };
    CHECK(slice(statements[0].span) == "a \"b\", c { d }");
    CHECK(slice(statements[0].block_span) == "{ d }");
    CHECK(slice(statements[0].arguments[0].words[0].span) == "\"b\"");
    CHECK(slice(statements[1].span) == "f g");
    CHECK(statements[1].position == Position{3, 1});
}

TEST_CASE("a quoted text is read back") {
    for (std::string text : {"", "a", "\"", "\\", "a\\\"b", "\xc3\xbc #;{}"}) {
        Diagnostics diagnostics("f");
        auto statements = parse_syntax("k " + quote(text), kConfigLimits, diagnostics);
        REQUIRE(statements.size() == 1);
        CHECK(statements[0].arguments[0].words[0].text == text);
    }
}
