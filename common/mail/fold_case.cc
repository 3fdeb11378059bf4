#include "common/mail/fold_case.h"

#include <algorithm>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

char32_t fold(char32_t c) {
    if (c < 0xc0) return c;
    if (c <= 0xde) return c == 0xd7 ? c : c + 0x20;  // Latin-1
    if (c >= 0x100 && c <= 0x137) return c | 1;      // Latin Extended-A: pairs, upper first
    if (c >= 0x139 && c <= 0x148) return (c & 1) ? c + 1 : c;
    if (c >= 0x14a && c <= 0x177) return c | 1;
    if (c == 0x178) return 0xff;
    if (c >= 0x179 && c <= 0x17e) return (c & 1) ? c + 1 : c;
    if (c >= 0x391 && c <= 0x3ab) return c + 0x20;  // Greek
    if (c == 0x3c2) return 0x3c3;                   // final sigma
    if (c >= 0x410 && c <= 0x42f) return c + 0x20;  // Cyrillic
    if (c >= 0x400 && c <= 0x40f) return c + 0x50;
    if (c >= 0x1e00 && c <= 0x1e95) return c | 1;  // Latin Extended Additional
    if (c >= 0x1ea0 && c <= 0x1eff) return c | 1;
    return c;
}

}  // namespace

void fold_case(std::string_view text, std::string& out) {
    if (text::is_ascii(text)) {
        size_t start = out.size();
        out += text;
        std::transform(out.begin() + static_cast<ptrdiff_t>(start), out.end(),
                       out.begin() + static_cast<ptrdiff_t>(start), [](char c) { return text::to_lower(c); });
        return;
    }
    while (!text.empty()) {
        if (static_cast<unsigned char>(text.front()) < 0x80) {
            out += text::to_lower(text.front());
            text.remove_prefix(1);
            continue;
        }
        size_t length = utf8_length(text);
        if (length == 0) {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        append_utf8(out, fold(utf8_decode(text, length)));
        text.remove_prefix(length);
    }
}

std::string fold_case(std::string_view text) {
    std::string out;
    fold_case(text, out);
    return out;
}

}  // namespace mox::mail
