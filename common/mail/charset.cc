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

// All that are converted. glibc has more, but a process that is confined could not load them, and one that tries is
// killed; and what a text is must not depend on who reads it.
constexpr std::array<std::string_view, 48> kCharsets = {
    "big5",         "big5-hkscs",   "cp437",        "cp850",        "cp866",        "cp874",        "cp932",
    "cp949",        "euc-jp",       "euc-tw",       "gb18030",      "hz",           "iso-2022-jp",  "iso-2022-kr",
    "iso-8859-10",  "iso-8859-13",  "iso-8859-14",  "iso-8859-15",  "iso-8859-16",  "iso-8859-2",   "iso-8859-3",
    "iso-8859-4",   "iso-8859-5",   "iso-8859-6",   "iso-8859-7",   "iso-8859-8",   "iso-8859-9",   "koi8-r",
    "koi8-u",       "macintosh",    "tis-620",      "utf-16",       "utf-16be",     "utf-16le",     "utf-32",
    "utf-32be",     "utf-32le",     "utf-7",        "windows-1250", "windows-1251", "windows-1252", "windows-1253",
    "windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258", "iso-8859-1"};

// Names that senders use for them. Superset charsets stand in for the ones whose name is often used wrong.
struct Alias {
    std::string_view name;
    std::string_view charset;
};
constexpr std::array kAliases = {
    Alias{"gb2312", "gb18030"},
    Alias{"gbk", "gb18030"},
    Alias{"cp936", "gb18030"},
    Alias{"hz-gb-2312", "hz"},
    Alias{"ks_c_5601-1987", "cp949"},
    Alias{"ks_c_5601", "cp949"},
    Alias{"ksc5601", "cp949"},
    Alias{"euc-kr", "cp949"},
    Alias{"euckr", "cp949"},
    Alias{"shift_jis", "cp932"},
    Alias{"shift-jis", "cp932"},
    Alias{"sjis", "cp932"},
    Alias{"ms_kanji", "cp932"},
    Alias{"eucjp", "euc-jp"},
    Alias{"big-5", "big5"},
    Alias{"iso-8859-1", "windows-1252"},  // as WHATWG: C1 controls are not text
    Alias{"latin1", "windows-1252"},
    Alias{"l1", "windows-1252"},
    Alias{"latin2", "iso-8859-2"},
    Alias{"latin9", "iso-8859-15"},
    Alias{"latin-9", "iso-8859-15"},
    Alias{"iso-8859-8-i", "iso-8859-8"},
    Alias{"iso-8859-11", "tis-620"},
    Alias{"windows-874", "cp874"},
    Alias{"koi8r", "koi8-r"},
    Alias{"ibm437", "cp437"},
    Alias{"ibm850", "cp850"},
    Alias{"ibm866", "cp866"},
    Alias{"macroman", "macintosh"},
    Alias{"mac-roman", "macintosh"},
    Alias{"unicode-1-1-utf-7", "utf-7"},
};

// The name of a charset as it is in kCharsets; empty when it is none of them.
std::string_view known_charset(std::string_view name) {
    constexpr size_t kLongest = 40;
    if (name.size() > kLongest) return {};
    std::string lower = text::to_lower(name);
    if (lower.starts_with("x-")) lower.erase(0, 2);
    if (lower.starts_with("iso_8859-")) lower[3] = '-';
    if (lower.starts_with("iso8859-")) lower.insert(3, "-");
    if (lower.starts_with("cp125") && lower.size() == 6) lower.replace(0, 2, "windows-");
    auto alias = std::ranges::find(kAliases, lower, &Alias::name);
    if (alias != kAliases.end()) return alias->charset;
    auto charset = std::ranges::find(kCharsets, lower);
    return charset != kCharsets.end() ? *charset : std::string_view();
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
        auto known = known_charset(charset);
        if (known.empty()) return std::nullopt;
        Converter converter{std::string(known)};
        if (!converter.valid()) return std::nullopt;
        out = repair_utf8(converter.run(bytes, max_bytes));
    }
    out.resize(cut_utf8(out, max_bytes).size());
    return out;
}

size_t preload_charsets() {
    // A module is unloaded with its last handle; so the handles stay open until the process ends.
    static std::array<iconv_t, kCharsets.size()> handles{};
    size_t loaded = 0;
    for (size_t i = 0; i < kCharsets.size(); ++i) {
        if (handles[i] == nullptr) handles[i] = iconv_open("UTF-8", kCharsets[i].data());
        if (handles[i] != reinterpret_cast<iconv_t>(-1)) ++loaded;
    }
    return loaded;
}

}  // namespace mox::mail
