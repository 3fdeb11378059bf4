#include "imapd/grammar/command_reader.h"

#include <limits>

#include "common/text/ascii.h"
#include "imapd/grammar/command.h"

namespace mox::imapd {
namespace {

void refuse_literal(const std::string& text, const LiteralStart& literal) {
    std::string tag = find_tag(text);
    // RFC 7888 4: the bytes of a non-synchronising literal are on their way already; reading them all would be the
    // attack.
    if (!literal.synchronising || tag.empty()) throw FatalInput("[TOOBIG] literal too large");
    throw RefusedInput(std::move(tag), "BAD [TOOBIG] literal too large");
}

async::Task<void> read_literal(async::Stream& stream, uint64_t size, std::string& text, ReaderLimits limits) {
    async::Deadline deadline = async::in(limits.within);
    while (size > 0) {
        auto bytes = co_await stream.read_some(size, deadline);
        if (bytes.empty()) throw async::ConnectionLost("closed by the peer inside a literal");
        text += bytes;
        size -= bytes.size();
    }
}

using IsMessage = bool (*)(std::string_view text, size_t literal);

async::Task<RawCommand> read_text(async::Stream& stream, ReaderLimits limits, IsMessage is_message) {
    RawCommand command;
    size_t line_bytes = 0;
    size_t literal_bytes = 0;
    async::Deadline deadline = async::in(limits.idle);
    for (;;) {
        auto line = co_await stream.read_line(limits.line - line_bytes, deadline);
        if (line.end == async::LineEnd::too_long) throw FatalInput("[TOOBIG] command line too long");
        line_bytes += line.text.size();
        command.text += line.text;
        auto literal = find_literal_start(line.text);
        if (!literal) co_return command;
        if (is_message(command.text, command.text.size() - literal->length)) {
            command.message = MessageLiteral{literal->size, literal->synchronising, literal->binary};
            command.text.resize(command.text.size() - literal->length);
            co_return command;
        }
        if (literal->size > limits.literal || literal->size > limits.literals - literal_bytes)
            refuse_literal(command.text, *literal);
        literal_bytes += literal->size;
        if (literal->synchronising) {
            stream.write("+ go ahead\r\n");
            co_await stream.flush(async::in(limits.write));
        }
        command.text += "\r\n";
        co_await read_literal(stream, literal->size, command.text, limits);
        deadline = async::in(limits.within);
    }
}

}  // namespace

std::optional<LiteralStart> find_literal_start(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    auto open = line.rfind('{');
    if (open == std::string_view::npos) return std::nullopt;
    auto digits = line.substr(open + 1, line.size() - open - 2);
    LiteralStart start{0, true, false, line.size() - open};
    if (open > 0 && line[open - 1] == '~') {
        start.binary = true;
        start.length++;
    }
    if (digits.ends_with('+')) {  // RFC 7888
        start.synchronising = false;
        digits.remove_suffix(1);
    }
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    start.size = text::parse_number<uint64_t>(digits).value_or(std::numeric_limits<uint64_t>::max());
    return start;
}

async::Task<RawCommand> read_command(async::Stream& stream, ReaderLimits limits) {
    return read_text(stream, limits, is_message_literal);
}

async::Task<RawCommand> read_further(async::Stream& stream, ReaderLimits limits) {
    std::string problem;
    try {
        co_return co_await read_text(stream, limits, is_further_message_literal);
    } catch (const RefusedInput& refused) {
        problem = refused.text;
    }
    throw FatalInput(problem);
}

}  // namespace mox::imapd
