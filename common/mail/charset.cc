#include "common/mail/charset.h"

#include <algorithm>
#include <array>
#include <memory>
#include <unicode/ucnv.h>

#include "common/mail/icu.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

struct Close {
    void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, Close>;

Converter open_converter(const char* name) {
    use_no_files();
    UErrorCode error = U_ZERO_ERROR;
    return Converter(ucnv_open(name, &error));
}

// Whatever is not valid becomes U+FFFD: so ICU does unless told otherwise.
std::string convert(UConverter& from, UConverter& to, std::string_view bytes, size_t max) {
    std::string out;
    std::array<char, 4096> chunk;
    std::array<char16_t, 2048> pivot;
    char16_t* pivot_from = pivot.data();
    char16_t* pivot_to = pivot.data();
    const char* in = bytes.data();
    UErrorCode error = U_BUFFER_OVERFLOW_ERROR;
    for (bool first = true; error == U_BUFFER_OVERFLOW_ERROR && out.size() < max; first = false) {
        error = U_ZERO_ERROR;
        char* at = chunk.data();
        ucnv_convertEx(&to, &from, &at, chunk.data() + chunk.size(), &in, bytes.data() + bytes.size(), pivot.data(),
                       &pivot_from, &pivot_to, pivot.data() + pivot.size(), first, true, &error);
        out.append(chunk.data(), at);
    }
    return out;
}

struct Charset {
    std::string_view name;
    const char* converter;  // as ICU calls it
};
// All that are converted: ICU knows more, some of which are no text of mail (EBCDIC, SCSU).
constexpr std::array kCharsets = {
    Charset{"big5", "windows-950-2000"},
    Charset{"big5-hkscs", "ibm-1375_P100-2008"},
    Charset{"cp437", "ibm-437_P100-1995"},
    Charset{"cp850", "ibm-850_P100-1995"},
    Charset{"cp866", "ibm-866_P100-1995"},
    Charset{"cp932", "ibm-943_P15A-2003"},
    Charset{"cp949", "windows-949-2000"},
    Charset{"euc-jp", "euc-jp-2007"},
    Charset{"euc-tw", "euc-tw-2014"},
    Charset{"gb18030", "gb18030"},
    Charset{"hz", "HZ"},
    Charset{"iso-2022-jp", "ISO_2022,locale=ja,version=0"},
    Charset{"iso-2022-kr", "ISO_2022,locale=ko,version=0"},
    Charset{"iso-8859-10", "iso-8859_10-1998"},
    Charset{"iso-8859-13", "ibm-921_P100-1995"},
    Charset{"iso-8859-14", "iso-8859_14-1998"},
    Charset{"iso-8859-15", "ibm-923_P100-1998"},
    Charset{"iso-8859-2", "ibm-912_P100-1995"},
    Charset{"iso-8859-3", "ibm-913_P100-2000"},
    Charset{"iso-8859-4", "ibm-914_P100-1995"},
    Charset{"iso-8859-5", "ibm-915_P100-1995"},
    Charset{"iso-8859-6", "ibm-1089_P100-1995"},
    Charset{"iso-8859-7", "ibm-9005_X110-2007"},
    Charset{"iso-8859-8", "ibm-5012_P100-1999"},
    Charset{"iso-8859-9", "ibm-920_P100-1995"},
    Charset{"koi8-r", "ibm-878_P100-1996"},
    Charset{"koi8-u", "ibm-1168_P100-2002"},
    Charset{"macintosh", "macos-0_2-10.2"},
    Charset{"utf-16", "UTF-16"},
    Charset{"utf-16be", "UTF-16BE"},
    Charset{"utf-16le", "UTF-16LE"},
    Charset{"utf-32", "UTF-32"},
    Charset{"utf-32be", "UTF-32BE"},
    Charset{"utf-32le", "UTF-32LE"},
    Charset{"utf-7", "UTF-7"},
    Charset{"windows-1250", "ibm-5346_P100-1998"},
    Charset{"windows-1251", "ibm-5347_P100-1998"},
    Charset{"windows-1252", "ibm-5348_P100-1997"},
    Charset{"windows-1253", "ibm-5349_P100-1998"},
    Charset{"windows-1254", "ibm-5350_P100-1998"},
    Charset{"windows-1255", "ibm-9447_P100-2002"},
    Charset{"windows-1256", "ibm-9448_X100-2005"},
    Charset{"windows-1257", "ibm-9449_P100-2002"},
    Charset{"windows-1258", "ibm-5354_P100-1998"},
    Charset{"windows-874", "windows-874-2000"},
};

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
    Alias{"iso-8859-11", "windows-874"},
    Alias{"tis-620", "windows-874"},
    Alias{"cp874", "windows-874"},
    Alias{"koi8r", "koi8-r"},
    Alias{"ibm437", "cp437"},
    Alias{"ibm850", "cp850"},
    Alias{"ibm866", "cp866"},
    Alias{"macroman", "macintosh"},
    Alias{"mac-roman", "macintosh"},
    Alias{"unicode-1-1-utf-7", "utf-7"},
};

// ICU's name of a charset; null when it is none of ours.
const char* known_charset(std::string_view name) {
    constexpr size_t kLongest = 40;
    if (name.size() > kLongest) return nullptr;
    std::string lower = text::to_lower(name);
    if (lower.starts_with("x-")) lower.erase(0, 2);
    if (lower.starts_with("iso_8859-")) lower[3] = '-';
    if (lower.starts_with("iso8859-")) lower.insert(3, "-");
    if (lower.starts_with("cp125") && lower.size() == 6) lower.replace(0, 2, "windows-");
    auto alias = std::ranges::find(kAliases, lower, &Alias::name);
    std::string_view ours = alias != kAliases.end() ? alias->charset : std::string_view(lower);
    auto charset = std::ranges::find(kCharsets, ours, &Charset::name);
    return charset != kCharsets.end() ? charset->converter : nullptr;
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
        const char* known = known_charset(charset);
        if (known == nullptr) return std::nullopt;
        auto from = open_converter(known);
        auto to = open_converter("UTF-8");
        if (!from || !to) return std::nullopt;
        out = convert(*from, *to, bytes, max_bytes);
    }
    out.resize(cut_utf8(out, max_bytes).size());
    return out;
}

}  // namespace mox::mail
