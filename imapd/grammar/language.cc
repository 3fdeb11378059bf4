#include "imapd/grammar/language.h"

#include "common/text/ascii.h"

namespace mox::imapd {

std::optional<std::string_view> choose_language(const std::vector<std::string>& ranges) {
    constexpr std::string_view kTags[] = {"EN", "i-default"};
    for (std::string_view range : ranges) {
        if (text::iequals(range, "default")) return kTags[1];  // RFC 5255 3.2
        while (!range.empty()) {
            for (auto tag : kTags)
                if (text::iequals(tag, range)) return tag;
            auto hyphen = range.rfind('-');
            range = range.substr(0, hyphen == std::string_view::npos ? 0 : hyphen);
        }
    }
    return std::nullopt;
}

std::optional<std::string> language_answer(const std::vector<std::string>& ranges) {
    if (ranges.empty()) return "LANGUAGE (EN i-default)";
    auto chosen = choose_language(ranges);
    if (!chosen) return std::nullopt;
    return "LANGUAGE (" + std::string(*chosen) + ')';
}

}  // namespace mox::imapd
