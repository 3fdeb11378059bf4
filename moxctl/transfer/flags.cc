#include "moxctl/transfer/flags.h"

#include <algorithm>
#include <array>

#include "common/text/ascii.h"
#include "proto/account.h"

namespace mox::moxctl {
namespace {

struct Letter {
    char letter;
    uint32_t flag;
};
constexpr std::array kMaildirLetters = {Letter{'D', proto::kDraft},     Letter{'F', proto::kFlagged},
                                        Letter{'P', proto::kForwarded}, Letter{'R', proto::kAnswered},
                                        Letter{'S', proto::kSeen},      Letter{'T', proto::kDeleted}};
// As UW-IMAP and mutt write them; O (old) says nothing that IMAP knows.
constexpr std::array kStatusLetters = {Letter{'R', proto::kSeen}, Letter{'A', proto::kAnswered},
                                       Letter{'F', proto::kFlagged}, Letter{'D', proto::kDeleted},
                                       Letter{'T', proto::kDraft}};

struct Keyword {
    std::string_view name;
    uint32_t flag;
};
// The first of a flag is what is written.
constexpr std::array kKeywords = {Keyword{"$Forwarded", proto::kForwarded},
                                  Keyword{"$Junk", proto::kJunk},
                                  Keyword{"$NotJunk", proto::kNotJunk},
                                  Keyword{"$Phishing", proto::kPhishing},
                                  Keyword{"$MDNSent", proto::kMdnSent},
                                  Keyword{"Forwarded", proto::kForwarded},
                                  Keyword{"Junk", proto::kJunk},
                                  Keyword{"NotJunk", proto::kNotJunk},
                                  Keyword{"NonJunk", proto::kNotJunk},
                                  Keyword{"$NonJunk", proto::kNotJunk},
                                  Keyword{"Phishing", proto::kPhishing},
                                  Keyword{"MDNSent", proto::kMdnSent}};

bool is_keyword(std::string_view name) {
    if (name.empty() || name.size() > 255) return false;
    return std::ranges::all_of(name, [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
    });
}

}  // namespace

void add_keyword(SourceMessage& message, std::string_view name) {
    auto known = std::ranges::find_if(kKeywords, [&](const Keyword& k) { return text::iequals(k.name, name); });
    if (known != kKeywords.end()) {
        message.flags |= known->flag;
        return;
    }
    bool there = std::ranges::any_of(message.keywords, [&](const auto& k) { return text::iequals(k, name); });
    if (is_keyword(name) && !there) message.keywords.emplace_back(name);
}

void take_maildir_flags(SourceMessage& message, std::string_view name, const std::vector<std::string>& keywords) {
    // ';' and '!' stand for ':' where a file system does not have it.
    size_t info = std::max({name.rfind(":2,") + 1, name.rfind(";2,") + 1, name.rfind("!2,") + 1});
    if (info == 0) return;
    for (char c : name.substr(info + 2)) {
        for (const Letter& letter : kMaildirLetters)
            if (letter.letter == c) message.flags |= letter.flag;
        auto number = static_cast<size_t>(c - 'a');
        if (c >= 'a' && number < keywords.size() && !keywords[number].empty()) add_keyword(message, keywords[number]);
    }
}

std::vector<std::string> parse_dovecot_keywords(std::string_view text) {
    std::vector<std::string> keywords;
    while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        size_t space = line.find(' ');
        if (space == std::string_view::npos) continue;
        auto number = text::parse_number<size_t>(line.substr(0, space));
        std::string_view name = line.substr(space + 1);
        if (!number || *number >= kMaildirKeywords || !is_keyword(name)) continue;
        if (keywords.size() <= *number) keywords.resize(*number + 1);
        keywords[*number] = name;
    }
    return keywords;
}

void take_status(SourceMessage& message, std::string_view letters) {
    for (char c : letters)
        for (const Letter& letter : kStatusLetters)
            if (letter.letter == c) message.flags |= letter.flag;
}

void take_keywords_field(SourceMessage& message, std::string_view value) {
    constexpr size_t kMaxKeywords = 64;
    for (size_t at = 0; at < value.size() && message.keywords.size() < kMaxKeywords;) {
        size_t end = std::min(value.find_first_of(" \t", at), value.size());
        std::string_view word = value.substr(at, end - at);
        while (word.ends_with(',')) word.remove_suffix(1);
        add_keyword(message, word);
        at = end + 1;
    }
}

std::string maildir_letters(uint32_t flags, const std::vector<size_t>& keywords) {
    std::string out;
    for (const Letter& letter : kMaildirLetters)
        if ((flags & letter.flag) != 0) out += letter.letter;
    for (size_t number : keywords) out += static_cast<char>('a' + number);
    std::ranges::sort(out);
    return out;
}

std::vector<std::string> flag_keywords(uint32_t flags) {
    std::vector<std::string> names;
    for (size_t i = 1; i < 5; i++)
        if ((flags & kKeywords[i].flag) != 0) names.emplace_back(kKeywords[i].name);
    return names;
}

}  // namespace mox::moxctl
