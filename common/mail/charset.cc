#include "common/mail/charset.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iconv.h>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

class Converter {
  public:
    explicit Converter(const std::string& from) : handle_(iconv_open("UTF-8", from.c_str())) {}
    ~Converter() {
        if (valid()) iconv_close(handle_);
    }
    Converter(const Converter&) = delete;
    Converter& operator=(const Converter&) = delete;

    bool valid() const { return handle_ != reinterpret_cast<iconv_t>(-1); }

    std::string run(std::string_view bytes, size_t max) {
        std::string out;
        std::array<char, 4096> chunk;
        char* in = const_cast<char*>(bytes.data());  // iconv's type lacks the const
        size_t left = bytes.size();
        while (left > 0 && out.size() < max) {
            char* to = chunk.data();
            size_t room = chunk.size();
            auto result = iconv(handle_, &in, &left, &to, &room);
            out.append(chunk.data(), chunk.size() - room);
            if (result != static_cast<size_t>(-1) || errno == E2BIG) continue;
            out += kReplacement;
            if (errno == EINVAL) break;  // the last character is cut off
            ++in;
            --left;
        }
        return out;
    }

  private:
    iconv_t handle_;
};

bool is_charset_name(std::string_view name) {
    // RFC 2978 2.3, and short; above all no '/', which has a meaning to iconv_open()
    return name.size() <= 40 && std::ranges::all_of(name, [](char c) {
               return text::is_alnum(c) || std::string_view("-_.:+()").find(c) != std::string_view::npos;
           });
}

// Names that senders use, as iconv knows them. Superset charsets stand in for the ones whose name is often used wrong.
std::string iconv_name(std::string_view charset) {
    using Pair = std::pair<std::string_view, std::string_view>;
    constexpr std::array<Pair, 9> kNames = {{{"gb2312", "gb18030"},
                                             {"gbk", "gb18030"},
                                             {"ks_c_5601-1987", "cp949"},
                                             {"euc-kr", "cp949"},
                                             {"shift_jis", "cp932"},
                                             {"iso-8859-1", "windows-1252"},  // as WHATWG: C1 controls are not text
                                             {"latin1", "windows-1252"},
                                             {"iso-8859-8-i", "iso-8859-8"},
                                             {"unicode-1-1-utf-7", "utf-7"}}};
    auto lower = text::to_lower(charset);
    for (const auto& [from, to] : kNames) {
        if (lower == from) return std::string(to);
    }
    return lower;
}

}  // namespace

std::optional<std::string> charset_to_utf8(std::string_view charset, std::string_view bytes, size_t max_bytes) {
    charset = text::trim(charset);
    bytes = bytes.substr(0, std::min(bytes.size(), max_bytes));
    std::string out;
    bool ascii = charset.empty() || text::iequals(charset, "us-ascii") || text::iequals(charset, "ascii");
    if (ascii || text::iequals(charset, "utf-8") || text::iequals(charset, "utf8")) {
        // DEVIATES RFC 2045 5.2: 8-bit text without a charset is most often UTF-8
        out = repair_utf8(bytes);
    } else {
        if (!is_charset_name(charset)) return std::nullopt;
        Converter converter(iconv_name(charset));
        if (!converter.valid()) return std::nullopt;
        out = repair_utf8(converter.run(bytes, max_bytes));
    }
    out.resize(cut_utf8(out, max_bytes).size());
    return out;
}

size_t preload_charsets() {
    constexpr std::array kCharsets = {
        "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256",
        "windows-1257", "windows-1258", "iso-8859-1",   "iso-8859-2",   "iso-8859-3",   "iso-8859-4",   "iso-8859-5",
        "iso-8859-6",   "iso-8859-7",   "iso-8859-8",   "iso-8859-9",   "iso-8859-10",  "iso-8859-13",  "iso-8859-14",
        "iso-8859-15",  "iso-8859-16",  "koi8-r",       "koi8-u",       "gb18030",      "big5",         "big5-hkscs",
        "euc-jp",       "iso-2022-jp",  "cp932",        "cp949",        "iso-2022-kr",  "tis-620",      "utf-7",
        "utf-16",       "utf-32",       "hz",           "cp437",        "cp850",        "cp866",        "macintosh"};
    // A module is unloaded with its last handle; so the handles stay open until the process ends.
    static std::array<iconv_t, kCharsets.size()> handles{};
    size_t loaded = 0;
    for (size_t i = 0; i < kCharsets.size(); ++i) {
        if (handles[i] == nullptr) handles[i] = iconv_open("UTF-8", kCharsets[i]);
        if (handles[i] != reinterpret_cast<iconv_t>(-1)) ++loaded;
    }
    return loaded;
}

}  // namespace mox::mail
