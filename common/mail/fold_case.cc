#include "common/mail/fold_case.h"

#include <algorithm>
#include <array>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include "common/mail/icu.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

const UNormalizer2* decomposer() {
    static const UNormalizer2* const instance = [] {
        use_no_files();
        UErrorCode error = U_ZERO_ERROR;
        return unorm2_getNFKDInstance(&error);
    }();
    return instance;
}

char32_t title(char32_t c) {
    return static_cast<char32_t>(u_totitle(static_cast<UChar32>(c)));
}

void append_folded(char32_t c, std::string& out) {
    constexpr int32_t kLongest = 32;  // Unicode has 18
    std::array<char16_t, kLongest> parts;
    c = title(c);
    UErrorCode error = U_ZERO_ERROR;
    int32_t size = decomposer() == nullptr
                       ? -1
                       : unorm2_getDecomposition(decomposer(), static_cast<UChar32>(c), parts.data(), kLongest, &error);
    if (size < 0 || U_FAILURE(error)) return append_utf8(out, c);
    for (int32_t at = 0; at < size;) {
        UChar32 part = 0;
        U16_NEXT(parts, at, size, part);
        append_utf8(out, title(static_cast<char32_t>(part)));
    }
}

}  // namespace

void fold_case(std::string_view text, std::string& out) {
    if (text::is_ascii(text)) {
        size_t start = out.size();
        out += text;
        std::transform(out.begin() + static_cast<ptrdiff_t>(start), out.end(),
                       out.begin() + static_cast<ptrdiff_t>(start), [](char c) { return text::to_upper(c); });
        return;
    }
    while (!text.empty()) {
        size_t length = utf8_length(text);
        if (length <= 1) {
            out += text::to_upper(text.front());
            text.remove_prefix(1);
            continue;
        }
        append_folded(utf8_decode(text, length), out);
        text.remove_prefix(length);
    }
}

std::string fold_case(std::string_view text) {
    std::string out;
    fold_case(text, out);
    return out;
}

}  // namespace mox::mail
