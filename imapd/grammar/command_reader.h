// Reads whole commands from a stream: lines and the literals between them, within limits.
//
// The text of a command is kept as it came, literals in place, for parse_command(); only the messages of APPEND and
// REPLACE stay in the stream: the size is told, the command takes the bytes from there and reads on behind them. A
// synchronising literal is asked for with `+`; one that is too large is refused without it. RFC 3501 2.2.1, 4.3, 7.5;
// RFC 7888; RFC 3516 (literal8).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/async/stream.h"

namespace mox::imapd {

struct ReaderLimits {
    size_t line = 64 * 1024;                                  // bytes of text, over all lines of a command
    size_t literal = 1024 * 1024;                             // bytes of one literal
    size_t literals = 1024 * 1024;                            // bytes of all literals of a command
    async::Clock::duration idle;                              // for the first line
    async::Clock::duration within = std::chrono::minutes(1);  // for each further piece
    async::Clock::duration write = std::chrono::minutes(5);
};

/// A literal with a message or a part of one, still to be read.
struct MessageLiteral {
    uint64_t size = 0;
    bool synchronising = false;  // the client waits for `+`
    bool binary = false;         // `~{n}`: NUL may be in it (RFC 3516 4.4)
};

struct RawCommand {
    std::string text;
    std::optional<MessageLiteral> message;
};

/// What cannot be answered and gone on from: the client is told `* BYE` and the text.
struct FatalInput : std::exception {
    explicit FatalInput(std::string what) : text(std::move(what)) {}
    const char* what() const noexcept override { return text.c_str(); }
    std::string text;
};
/// The command is refused, `text` goes behind its tag ("BAD [TOOBIG] ..."); the stream is at the next one.
struct RefusedInput : std::exception {
    RefusedInput(std::string t, std::string what) : tag(std::move(t)), text(std::move(what)) {}
    const char* what() const noexcept override { return text.c_str(); }
    std::string tag;
    std::string text;
};

/// Reads one command. Throws FatalInput, RefusedInput, ConnectionLost and DeadlinePassed. `stream` outlives the task.
async::Task<RawCommand> read_command(async::Stream& stream, ReaderLimits limits);

/// Reads what stands behind a message of an APPEND, up to the next or to the end of the command. The same exceptions
/// but RefusedInput: there is no tag to answer with.
async::Task<RawCommand> read_further(async::Stream& stream, ReaderLimits limits);

/// `{n}`, `{n+}` or `~{n}` at the end of a line.
struct LiteralStart {
    uint64_t size = 0;
    bool synchronising = false;
    bool binary = false;
    size_t length = 0;  // of these characters
};
std::optional<LiteralStart> find_literal_start(std::string_view line);

}  // namespace mox::imapd
