#include "common/mail/message_id.h"

#include "common/mail/scanner.h"

namespace mox::mail {

std::vector<std::string> parse_message_ids(std::string_view value, size_t max) {
    std::vector<std::string> out;
    while (max > 0) {
        auto end = value.rfind('>');  // from the back: the last ones are those that count
        if (end == value.npos) break;
        value = value.substr(0, end);
        auto start = value.rfind('<');
        if (start == value.npos) break;
        auto inner = value.substr(start + 1);
        value = value.substr(0, start);
        if (inner.find('>') != inner.npos) inner = inner.substr(0, inner.find('>'));
        std::string id;
        for (char c : inner) {
            if (!is_blank(c) && c != '\0') id += c;
        }
        if (id.empty()) continue;
        out.push_back(std::move(id));
        --max;
    }
    return {out.rbegin(), out.rend()};
}

}  // namespace mox::mail
