#include "common/smtp/reply.h"

#include <fmt/format.h>
#include <utility>

#include "common/text/ascii.h"

namespace mox::smtp {
namespace {

std::unexpected<Error> malformed(std::string text) {
    return permanent(ErrorCode::bad_request, std::move(text));
}

std::string clean(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    }
    return out;
}

/// Digits at the start of `text`, at most `max`; moves past them.
std::string_view take_digits(std::string_view& text, size_t max) {
    size_t n = 0;
    while (n < text.size() && n < max && text::is_digit(text[n])) n++;
    auto digits = text.substr(0, n);
    text.remove_prefix(n);
    return digits;
}

std::string_view take_word(std::string_view& rest) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    auto word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    return word;
}

void take_limits(std::string_view rest, Extensions& out) {
    for (auto word = take_word(rest); !word.empty(); word = take_word(rest)) {
        auto equals = word.find('=');
        if (equals == word.npos || !text::iequals(word.substr(0, equals), "RCPTMAX")) continue;
        out.max_recipients = text::parse_number<uint32_t>(word.substr(equals + 1)).value_or(0);
    }
}

void take_extension(std::string_view line, Extensions& out) {
    auto keyword = text::to_upper(take_word(line));
    if (keyword == "STARTTLS")
        out.starttls = true;
    else if (keyword == "PIPELINING")
        out.pipelining = true;
    else if (keyword == "8BITMIME")
        out.eight_bit_mime = true;
    else if (keyword == "SMTPUTF8")
        out.smtputf8 = true;
    else if (keyword == "LIMITS")
        take_limits(line, out);
    else if (keyword == "AUTH") {
        for (auto word = take_word(line); !word.empty(); word = take_word(line))
            out.mechanisms.push_back(text::to_upper(word));
    } else if (keyword == "SIZE") {
        out.size = true;
        auto limit = text::parse_number<uint64_t>(take_word(line));
        if (limit && *limit > 0) out.max_size = *limit;  // RFC 1870 3: zero or nothing is no limit
    }
}

}  // namespace

std::string_view enhanced_code(std::string_view text, uint16_t code) {
    std::string_view rest = text;
    auto severity = take_digits(rest, 1);
    if (severity.empty() || severity[0] - '0' != code / 100) return {};  // RFC 2034 4
    for (int i = 0; i < 2; i++) {
        if (!rest.starts_with('.')) return {};
        rest.remove_prefix(1);
        if (take_digits(rest, 3).empty()) return {};
    }
    if (!rest.empty() && rest[0] != ' ') return {};
    return text.substr(0, text.size() - rest.size());
}

Result<ReplyParser::State> ReplyParser::feed(std::string_view line) {
    bytes_ += line.size();
    if (line.size() > kMaxReplyLine || bytes_ > kMaxReplyBytes || reply_.lines.size() == kMaxReplyLines)
        return malformed("reply too long");
    std::string_view rest = line;
    auto digits = take_digits(rest, 3);
    // RFC 5321 4.2: the first digit is 2 to 5, the second 0 to 5.
    if (digits.size() != 3 || digits[0] < '2' || digits[0] > '5') return malformed("not an SMTP reply");
    // DEVIATES RFC 5321 4.2: the second and third digit may be any, there are servers with their own codes.
    uint16_t code = *text::parse_number<uint16_t>(digits);
    if (!reply_.lines.empty() && code != reply_.code)
        return malformed("different codes in one reply");  // RFC 5321 4.2.1
    // RFC 5321 4.2.1: the text may be missing, and then the blank in front of it.
    char separator = rest.empty() ? ' ' : rest[0];
    if (separator != ' ' && separator != '-') return malformed("not an SMTP reply");
    if (!rest.empty()) rest.remove_prefix(1);
    if (reply_.lines.empty()) {
        reply_.code = code;
        reply_.enhanced = enhanced_code(rest, code);
    }
    reply_.lines.push_back(clean(rest));
    return separator == '-' ? State::more : State::complete;
}

Reply ReplyParser::take() {
    bytes_ = 0;
    return std::exchange(reply_, Reply{});
}

std::string to_string(const Reply& reply) {
    std::string out = fmt::format("{}", reply.code);
    for (size_t i = 0; i < reply.lines.size(); i++) {
        std::string_view text = reply.lines[i];
        // The enhanced code is repeated on each line (RFC 2034 4).
        if (i > 0) text.remove_prefix(enhanced_code(text, reply.code).size());
        text = text::trim(text);
        if (text.empty()) continue;
        out += ' ';
        out += text;
    }
    return out;
}

Extensions parse_extensions(const Reply& ehlo) {
    Extensions out;
    // RFC 5321 4.1.1.1: the first line is the domain and a greeting.
    for (size_t i = 1; i < ehlo.lines.size(); i++) take_extension(ehlo.lines[i], out);
    return out;
}

}  // namespace mox::smtp
