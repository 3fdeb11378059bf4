// Reads a tree of statements into the model, led by tables: one Rule for each keyword of a block.
//
// A rule names the keyword, shows how the statement looks (for messages), and has a function that stores the value.
// Most rules use the adapters below (one, list, append, flag, nested) with a converter (as_...) from a word to a
// value. read_block does the rest: unknown keywords with a hint, repeated ones, missing ones. The tables also give
// known_keywords(), so a keyword cannot exist without its place in the man page. Used inside this folder only.
#pragma once

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/model.h"
#include "common/config/syntax.h"
#include "common/config/values.h"

namespace mox::config {

enum class Repeat : uint8_t { once, many };
enum class Need : uint8_t { optional, required };

/// The keywords of one kind of block, for hints.
struct BlockKeywords {
    std::string block;  // "listen"; empty for the file itself
    std::vector<std::string_view> keywords;
};

class Reader;

template <class T>
struct Rule {
    std::string_view keyword;
    std::string_view shape;  // "hostname NAME"
    void (*read)(Reader&, const Statement&, T&);
    Repeat repeat = Repeat::once;
    Need need = Need::optional;
};

/// The word of `words` that was probably meant; empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

class Reader {
  public:
    /// Both must outlive the reader.
    Reader(Diagnostics& diagnostics, std::span<const BlockKeywords> blocks)
        : diagnostics_(diagnostics), blocks_(blocks), syntax_errors_(!diagnostics.empty()) {}

    /// Reads the statements of the file or a block into `out`. `where` and `block` name it in messages.
    template <class T>
    void read_block(const std::vector<Statement>& statements, std::span<const Rule<T>> rules, Position where,
                    std::string_view block, T& out);

    void fail(Position position, std::string message, std::string expected = {}) {
        diagnostics_.add(position, std::move(message), std::move(expected));
    }
    /// The statement does not have the form of its rule. Always returns false.
    bool misshaped(const Statement& statement);

    bool expect_words(const Statement& statement, size_t count);
    bool expect_no_block(const Statement& statement);
    bool expect_block(const Statement& statement);

  private:
    void unknown(const Statement& statement, std::string_view block, std::span<const std::string_view> keywords);

    Diagnostics& diagnostics_;
    std::span<const BlockKeywords> blocks_;
    std::string_view shape_;  // of the statement being read
    bool syntax_errors_;
};

inline Origin origin_of(Position position) {
    return {position.line, position.column};
}

/// The word of an argument known to be a single one.
inline const Word& word_of(const Statement& statement, size_t index) {
    return statement.arguments[index].words.front();
}

template <class T>
void Reader::read_block(const std::vector<Statement>& statements, std::span<const Rule<T>> rules, Position where,
                        std::string_view block, T& out) {
    std::vector<uint32_t> seen(rules.size(), 0);
    bool guess = syntax_errors_;  // a keyword may be missing because its line was not understood
    for (const Statement& statement : statements) {
        auto rule = std::ranges::find(rules, statement.keyword, &Rule<T>::keyword);
        if (rule == rules.end()) {
            std::vector<std::string_view> keywords;
            for (const auto& known : rules) keywords.push_back(known.keyword);
            unknown(statement, block, keywords);
            guess = true;
            continue;
        }
        uint32_t& first = seen[static_cast<size_t>(rule - rules.begin())];
        if (first != 0 && rule->repeat == Repeat::once) {
            fail(statement.position, fmt::format("'{}' again, it stands in line {} already", rule->keyword, first),
                 "it once");
            continue;
        }
        first = statement.position.line;
        shape_ = rule->shape;
        rule->read(*this, statement, out);
    }
    for (size_t i = 0; i < rules.size(); i++) {
        if (guess || seen[i] != 0 || rules[i].need == Need::optional) continue;
        std::string place = block.empty() ? "the file" : fmt::format("'{}'", block);
        fail(where, fmt::format("{} has no '{}'", place, rules[i].keyword), std::string(rules[i].shape));
    }
}

// ---- Adapters: rules for the usual forms ----

template <class M>
struct MemberOf;
template <class C, class F>
struct MemberOf<F C::*> {
    using Class = C;
    using Field = F;
};
template <auto Member>
using ClassOf = typename MemberOf<decltype(Member)>::Class;

/// keyword WORD
template <auto Member, auto Convert>
void one(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    if (!reader.expect_words(statement, 1) || !reader.expect_no_block(statement)) return;
    if (auto value = Convert(reader, word_of(statement, 0))) out.*Member = std::move(*value);
}

/// keyword WORD, WORD, ... : the list takes the place of the default, or adds to what was read before.
template <auto Member, auto Convert, Repeat repeat = Repeat::once>
void list(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    if (statement.arguments.size() != 1) {
        reader.misshaped(statement);
        return;
    }
    if (!reader.expect_no_block(statement)) return;
    if (repeat == Repeat::once) (out.*Member).clear();
    for (const Word& word : statement.arguments[0].words) {
        if (auto value = Convert(reader, word)) (out.*Member).push_back(std::move(*value));
    }
}

std::optional<bool> as_yes_no(Reader& reader, const Word& word);

/// keyword [yes | no]
template <auto Member>
void flag(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    if (!statement.arguments.empty()) return one<Member, as_yes_no>(reader, statement, out);
    if (reader.expect_no_block(statement)) out.*Member = true;
}

/// keyword { ... }
template <auto Member, const auto& Rules>
void nested(Reader& reader, const Statement& statement, ClassOf<Member>& out) {
    if (!reader.expect_words(statement, 0) || !reader.expect_block(statement)) return;
    using Field = typename MemberOf<decltype(Member)>::Field;
    reader.read_block<Field>(statement.block, Rules, statement.position, statement.keyword, out.*Member);
}

// ---- Converters: a word to a value, or a message ----

std::optional<std::string> as_domain(Reader& reader, const Word& word);
std::optional<std::string> as_host(Reader& reader, const Word& word);  // domain or IP address
std::optional<std::string> as_ip(Reader& reader, const Word& word);
std::optional<std::string> as_path(Reader& reader, const Word& word);
std::optional<std::string> as_name(Reader& reader, const Word& word);
std::optional<std::string> as_mailbox(Reader& reader, const Word& word);
std::optional<std::string> as_text(Reader& reader, const Word& word);  // 1 to 256 bytes
std::optional<uint16_t> as_port(Reader& reader, const Word& word);

std::optional<uint64_t> number_between(Reader& reader, const Word& word, uint64_t low, uint64_t high);
std::optional<uint64_t> size_between(Reader& reader, const Word& word, uint64_t low, uint64_t high);
std::optional<Seconds> duration_between(Reader& reader, const Word& word, Seconds low, Seconds high);
std::optional<size_t> index_of_choice(Reader& reader, const Word& word, std::span<const std::string_view> choices);

template <class T, uint64_t Low, uint64_t High>
std::optional<T> as_number(Reader& reader, const Word& word) {
    static_assert(High <= std::numeric_limits<T>::max());
    auto value = number_between(reader, word, Low, High);
    return value ? std::optional(static_cast<T>(*value)) : std::nullopt;
}

template <uint64_t Low, uint64_t High>
std::optional<uint64_t> as_size(Reader& reader, const Word& word) {
    return size_between(reader, word, Low, High);
}

template <int64_t LowSeconds, int64_t HighSeconds>
std::optional<Seconds> as_duration(Reader& reader, const Word& word) {
    return duration_between(reader, word, Seconds(LowSeconds), Seconds(HighSeconds));
}

/// `Words` names the enumerators in their order.
template <class E, const auto& Words>
std::optional<E> as_choice(Reader& reader, const Word& word) {
    static_assert(std::size(Words) == static_cast<size_t>(E::kEnd));
    auto index = index_of_choice(reader, word, Words);
    return index ? std::optional(static_cast<E>(*index)) : std::nullopt;
}

/// The keywords of a table.
template <class T>
BlockKeywords keywords_of(std::string block, std::span<const Rule<T>> rules) {
    BlockKeywords out{std::move(block), {}};
    for (const auto& rule : rules) out.keywords.push_back(rule.keyword);
    return out;
}

/// The tables of each file.
std::vector<BlockKeywords> config_keywords();
std::vector<BlockKeywords> domains_keywords();

}  // namespace mox::config
