#include "imapd/worker/list_match.h"

#include <vector>

namespace mox::imapd {

// The states of the pattern that the name's beginning can reach; no backtracking.
bool matches_pattern(std::string_view pattern, std::string_view name) {
    std::vector<char> reached(pattern.size() + 1);
    auto skip_wildcards = [&] {
        for (size_t i = 0; i < pattern.size(); i++)
            if (reached[i] && (pattern[i] == '*' || pattern[i] == '%')) reached[i + 1] = 1;
    };
    reached[0] = 1;
    skip_wildcards();
    for (char c : name) {
        std::vector<char> next(pattern.size() + 1);
        for (size_t i = 0; i < pattern.size(); i++) {
            if (!reached[i]) continue;
            if (pattern[i] == '*' || (pattern[i] == '%' && c != '/'))
                next[i] = 1;
            else if (pattern[i] == c)
                next[i + 1] = 1;
        }
        reached.swap(next);
        skip_wildcards();
    }
    return reached[pattern.size()];
}

}  // namespace mox::imapd
