#include "common/mail/utf8.h"

namespace mox::mail {

size_t utf8_length(std::string_view s) {
    auto at = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
    if (s.empty()) return 0;
    auto first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        if (first == 0xe0 && at(1) < 0xa0) return 0;   // RFC 3629 4: overlong
        if (first == 0xed && at(1) >= 0xa0) return 0;  // RFC 3629 3: surrogates
        return tail(1) && tail(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if (first == 0xf0 && at(1) < 0x90) return 0;
        if (first == 0xf4 && at(1) >= 0x90) return 0;  // RFC 3629 3: above U+10FFFF
        return tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

char32_t utf8_decode(std::string_view s, size_t length) {
    auto at = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(s[i])); };
    switch (length) {
        case 1:
            return at(0);
        case 2:
            return (at(0) & 0x1f) << 6 | (at(1) & 0x3f);
        case 3:
            return (at(0) & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
        case 4:
            return (at(0) & 0x07) << 18 | (at(1) & 0x3f) << 12 | (at(2) & 0x3f) << 6 | (at(3) & 0x3f);
        default:
            return U'\ufffd';
    }
}

bool is_utf8(std::string_view s) {
    while (!s.empty()) {
        auto length = utf8_length(s);
        if (length == 0) return false;
        s.remove_prefix(length);
    }
    return true;
}

std::string repair_utf8(std::string_view s) {
    std::string out;
    out.reserve(s.size());
    while (!s.empty()) {
        auto length = utf8_length(s);
        if (length == 0) {
            out += "\xef\xbf\xbd";
            length = 1;
        } else {
            out += s.substr(0, length);
        }
        s.remove_prefix(length);
    }
    return out;
}

void append_utf8(std::string& out, char32_t c) {
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) c = U'\ufffd';
    auto add = [&](char32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
        add(c);
    } else if (c < 0x800) {
        add(0xc0 | c >> 6);
        add(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        add(0xe0 | c >> 12);
        add(0x80 | (c >> 6 & 0x3f));
        add(0x80 | (c & 0x3f));
    } else {
        add(0xf0 | c >> 18);
        add(0x80 | (c >> 12 & 0x3f));
        add(0x80 | (c >> 6 & 0x3f));
        add(0x80 | (c & 0x3f));
    }
}

std::string_view cut_utf8(std::string_view s, size_t max) {
    if (s.size() <= max) return s;
    while (max > 0 && (static_cast<unsigned char>(s[max]) & 0xc0) == 0x80) --max;
    return s.substr(0, max);
}

}  // namespace mox::mail
