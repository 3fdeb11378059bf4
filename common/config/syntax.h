// The grammar of mox.conf and domains.conf, without meaning: text to a tree of statements.
//
//     file      = { statement }
//     statement = keyword { argument } [ "{" { statement } "}" ] ( newline | ";" | before "}" | end of file )
//     argument  = word { "," word }          after a comma the list may go on in the next line
//     word      = bare | string
//
// Bare words are made of letters, digits, . _ - + / : @ * and characters beyond ASCII; everything else must stand
// in double quotes, where \" and \\ are the only escapes. All other characters and escapes are refused, so that
// later versions may give them a meaning. "#" starts a comment that ends with the line. Files are UTF-8.
//
// Every word and statement knows its place in the text (bytes), so that edit.h can change one statement and leave
// every other byte as a person wrote it. Bounds: bytes and words of a file (Limits), nesting, length of a word,
// arguments of a statement. Entry point: parse_syntax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/diagnostic.h"

namespace mox::config {

/// Bounds that differ between the two files.
struct Limits {
    size_t bytes;  // of the file
    size_t words;  // keywords and arguments, so statements too
};
inline constexpr Limits kConfigLimits{size_t{1} << 20, 50'000};
inline constexpr Limits kDomainsLimits{size_t{16} << 20, 1'000'000};

inline constexpr size_t kMaxDepth = 8;         // blocks within blocks
inline constexpr size_t kMaxWordBytes = 4096;  // of a word, after unquoting
inline constexpr size_t kMaxArguments = 16;    // of a statement; a list is one argument

/// Bytes of the text: begin is the first, end is one past the last.
struct Span {
    uint32_t begin = 0;
    uint32_t end = 0;
};

struct Word {
    std::string text;  // without quotes and escapes
    Position position;
    Span span;  // with quotes
};

/// One word, or several with commas between them.
struct Argument {
    std::vector<Word> words;
};

enum class HasBlock : uint8_t { no, yes };

struct Statement {
    std::string keyword;
    std::vector<Argument> arguments;
    HasBlock has_block = HasBlock::no;
    std::vector<Statement> block;
    Position position;  // of the keyword
    Span span;          // from the keyword to the last argument or "}", without the terminator
    Span block_span;    // from "{" to "}" inclusive, when there is a block
};

/// Reads the text. What is wrong is added to `diagnostics`; the tree then holds the statements that could be
/// read, so that their meaning can be checked too.
std::vector<Statement> parse_syntax(std::string_view text, const Limits& limits, Diagnostics& diagnostics);

/// The text as a quoted word: "..." with \" and \\ escaped.
std::string quote(std::string_view text);

}  // namespace mox::config
