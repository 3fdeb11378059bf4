// The parts of the schema reader that do not depend on the type read: messages, hints and converters.
#include "common/config/schema.h"

#include <algorithm>

#include "common/text/ascii.h"

namespace mox::config {
namespace {

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++) last[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) now[j] = std::min(now[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

std::string joined(std::span<const std::string_view> words) {
    std::string out;
    for (size_t i = 0; i < words.size(); i++) {
        if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
        out += words[i];
    }
    return out;
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> words) {
    constexpr size_t kLongest = 40;  // no keyword is that long
    if (word.size() > kLongest) return {};
    size_t limit = word.size() < 4 ? 1 : 2;
    std::string_view best;
    for (std::string_view candidate : words) {
        size_t d = distance(word, candidate);
        if (d > limit) continue;
        best = candidate;
        limit = d == 0 ? 0 : d - 1;
        if (d == 0) break;
    }
    return best;
}

void Reader::unknown(const Statement& statement, std::string_view block, std::span<const std::string_view> keywords) {
    std::string message = fmt::format("unknown keyword {}", shown(statement.keyword));
    if (!block.empty()) message += fmt::format(" in '{}'", block);
    if (auto near = nearest(statement.keyword, keywords); !near.empty()) {
        message += fmt::format("; did you mean '{}'?", near);
    } else {
        for (const BlockKeywords& other : blocks_) {
            if (std::ranges::find(other.keywords, statement.keyword) == other.keywords.end()) continue;
            message += other.block.empty() ? "; it belongs outside of all blocks"
                                           : fmt::format("; it belongs into '{}'", other.block);
            break;
        }
    }
    fail(statement.position, message, joined(keywords));
}

bool Reader::misshaped(const Statement& statement) {
    fail(statement.position, fmt::format("'{}' is not used like this", statement.keyword), std::string(shape_));
    return false;
}

bool Reader::expect_words(const Statement& statement, size_t count) {
    if (statement.arguments.size() != count) return misshaped(statement);
    for (const Argument& argument : statement.arguments) {
        if (argument.words.size() == 1) continue;
        fail(argument.words[1].position, fmt::format("'{}' takes no list here", statement.keyword),
             std::string(shape_));
        return false;
    }
    return true;
}

bool Reader::expect_no_block(const Statement& statement) {
    return statement.has_block == HasBlock::no || misshaped(statement);
}

bool Reader::expect_block(const Statement& statement) {
    return statement.has_block == HasBlock::yes || misshaped(statement);
}

std::optional<bool> as_yes_no(Reader& reader, const Word& word) {
    if (word.text == "yes") return true;
    if (word.text == "no") return false;
    reader.fail(word.position, fmt::format("{} is not an answer", shown(word.text)), "yes or no");
    return std::nullopt;
}

std::optional<std::string> as_domain(Reader& reader, const Word& word) {
    auto name = parse_domain_name(word.text);
    if (!name) {
        reader.fail(word.position, fmt::format("{} is not a domain name", shown(word.text)),
                    "a name like \"mail.example.org\"");
    }
    return name;
}

std::optional<std::string> as_host(Reader& reader, const Word& word) {
    if (auto ip = parse_ip(word.text)) return ip;
    auto name = parse_domain_name(word.text);
    if (!name) {
        reader.fail(word.position, fmt::format("{} is neither a host name nor an IP address", shown(word.text)),
                    "a name like \"smtp.example.net\"");
    }
    return name;
}

std::optional<std::string> as_ip(Reader& reader, const Word& word) {
    auto ip = parse_ip(word.text);
    if (!ip) {
        reader.fail(word.position, fmt::format("{} is not an IP address", shown(word.text)),
                    "an address like 192.0.2.1 or 2001:db8::1");
    }
    return ip;
}

std::optional<std::string> as_path(Reader& reader, const Word& word) {
    if (is_path(word.text)) return word.text;
    reader.fail(word.position, fmt::format("{} is not an absolute path", shown(word.text)),
                "a path that begins with '/', at most 1024 bytes");
    return std::nullopt;
}

std::optional<std::string> as_name(Reader& reader, const Word& word) {
    if (is_name(word.text)) return word.text;
    reader.fail(word.position, fmt::format("{} is not a name", shown(word.text)),
                "1 to 64 of the characters a-z A-Z 0-9 . _ -, not beginning with '.' or '-'");
    return std::nullopt;
}

std::optional<std::string> as_mailbox(Reader& reader, const Word& word) {
    auto name = parse_mailbox(word.text);
    if (!name) {
        reader.fail(word.position, fmt::format("{} is not the name of a mailbox", shown(word.text)),
                    "a name like \"Lists/example\", at most 255 bytes");
    }
    return name;
}

std::optional<std::string> as_text(Reader& reader, const Word& word) {
    constexpr size_t kMaxText = 256;
    if (!word.text.empty() && word.text.size() <= kMaxText) return word.text;
    reader.fail(word.position, word.text.empty() ? "an empty text" : "a text that is too long", "1 to 256 bytes");
    return std::nullopt;
}

std::optional<uint16_t> as_port(Reader& reader, const Word& word) {
    return as_number<uint16_t, 1, 65535>(reader, word);
}

std::optional<uint64_t> number_between(Reader& reader, const Word& word, uint64_t low, uint64_t high) {
    auto number = text::parse_number<uint64_t>(word.text);
    if (number && *number >= low && *number <= high) return number;
    reader.fail(word.position, fmt::format("{} is {}", shown(word.text), number ? "out of range" : "not a number"),
                fmt::format("a number from {} to {}", low, high));
    return std::nullopt;
}

std::optional<uint64_t> size_between(Reader& reader, const Word& word, uint64_t low, uint64_t high) {
    auto size = parse_size(word.text);
    if (size && *size >= low && *size <= high) return size;
    reader.fail(word.position, fmt::format("{} is {}", shown(word.text), size ? "out of range" : "not a size"),
                fmt::format("a size from {} to {}, like 10M", write_size(low), write_size(high)));
    return std::nullopt;
}

std::optional<Seconds> duration_between(Reader& reader, const Word& word, Seconds low, Seconds high) {
    auto duration = parse_duration(word.text);
    if (duration && *duration >= low && *duration <= high) return duration;
    reader.fail(word.position, fmt::format("{} is {}", shown(word.text), duration ? "out of range" : "not a duration"),
                fmt::format("a duration from {}s to {}d, like 7m30s", low.count(), high.count() / 86400));
    return std::nullopt;
}

std::optional<size_t> index_of_choice(Reader& reader, const Word& word, std::span<const std::string_view> choices) {
    auto found = std::ranges::find(choices, word.text);
    if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
    std::string message = fmt::format("{} is not known here", shown(word.text));
    if (auto near = nearest(word.text, choices); !near.empty()) message += fmt::format("; did you mean '{}'?", near);
    reader.fail(word.position, message, joined(choices));
    return std::nullopt;
}

}  // namespace mox::config
