// Charsets, encoded words, parameters, transfer encodings, modified UTF-7.
#include <random>
#include <string>
#include <vector>

#include "common/mail/charset.h"
#include "common/mail/encoded_word.h"
#include "common/mail/fold_case.h"
#include "common/mail/params.h"
#include "common/mail/transfer.h"
#include "common/mail/utf7.h"
#include "common/mail/utf8.h"
#include "tests/unit/catch.h"

using namespace mox::mail;

TEST_CASE("well-formed UTF-8") {
    for (auto good : {"", "a", "ü", "€", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"})
        CHECK(is_utf8(good));
    for (auto bad : {"\x80", "\xc0\xaf", "\xc1\x81", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
                     "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xff", "a\xfe"}) {
        CHECK_FALSE(is_utf8(bad));
        CHECK(is_utf8(repair_utf8(bad)));
    }
    CHECK(repair_utf8("a\xc3") == "a\ufffd");
    CHECK(cut_utf8("aüb", 2) == "a");
    CHECK(cut_utf8("aüb", 3) == "aü");
    CHECK(cut_utf8("ab", 5) == "ab");
    for (char32_t c : {U'a', U'ü', U'€', U'😀'}) {
        std::string s;
        append_utf8(s, c);
        CHECK(utf8_decode(s, utf8_length(s)) == c);
    }
    std::string s;
    append_utf8(s, 0xd800);
    CHECK(s == "\ufffd");
}

TEST_CASE("charsets") {
    CHECK(charset_to_utf8("iso-8859-1", "J\xfcrgen", 100) == "Jürgen");
    CHECK(charset_to_utf8("ISO-8859-15", "\xa4", 100) == "€");
    CHECK(charset_to_utf8("windows-1252", "\x80", 100) == "€");
    CHECK(charset_to_utf8("koi8-r", "\xf0\xf2\xe9", 100) == "ПРИ");
    CHECK(charset_to_utf8("gb2312", "\xc4\xe3", 100) == "你");
    CHECK(charset_to_utf8("shift_jis", "\x82\xa0", 100) == "あ");
    CHECK(charset_to_utf8("iso-2022-jp", "\x1b$B$\"\x1b(B", 100) == "あ");
    CHECK(charset_to_utf8("euc-kr", "\xb0\xa1", 100) == "가");
    CHECK(charset_to_utf8("utf-8", "a\xff", 100) == "a\ufffd");
    CHECK(charset_to_utf8("", "abc", 100) == "abc");
    CHECK(charset_to_utf8("us-ascii", "ü", 100) == "ü");
    CHECK(charset_to_utf8("gb18030",
                          "a\xff"
                          "b",
                          100) ==
          "a\ufffd"
          "b");
    CHECK(charset_to_utf8("gb18030", "a\xc4", 100) == "a\ufffd");
    CHECK(charset_to_utf8("iso-8859-1", std::string(100, '\xfc'), 11)->size() == 10);  // whole characters
    for (std::string_view name : {"cp1252", "x-cp1252", "ISO_8859-1", "ISO8859-1", "latin1"})
        CHECK(charset_to_utf8(name, "J\xfcrgen", 100) == "Jürgen");
    CHECK(charset_to_utf8("x-sjis", "\x82\xa0", 100) == "あ");
    CHECK(charset_to_utf8("utf-16le", std::string("a\0", 2), 100) == "a");
    // ICU has some of them: what is not listed is not converted.
    for (std::string_view name : {"scsu", "imap-mailbox-name", "ibm037", "armscii-8", "cp1047", "x-unknown"})
        CHECK_FALSE(charset_to_utf8(name, "abc", 100));
    CHECK_FALSE(charset_to_utf8("utf-16//TRANSLIT", "abc", 100));
    CHECK_FALSE(charset_to_utf8(std::string(200, 'x'), "abc", 100));
}

TEST_CASE("encoded words") {
    struct Row {
        std::string in, want;
    };
    const std::vector<Row> rows = {
        {"", ""},
        {"plain text", "plain text"},
        // RFC 2047 8
        {"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"},
        {"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"(=?ISO-8859-1?Q?a?=)", "(a)"},
        {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
        // a character cut over two words, languages, no blanks between
        {"=?utf-8?B?w7w=?= =?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "üü"},
        {"=?UTF-8?B?w?= =?UTF-8?B?w7w?=", "ü"},
        {"=?us-ascii*en-us?q?hi?=", "hi"},
        {"a=?utf-8?q?b?=c", "abc"},
        {"=?utf-8?q?a b?=", "a b"},
        {"=?utf-8?q?why?not?=", "why?not"},
        {"=?utf-8?q?=0d=0aX:_y?=", "  X: y"},
        {"=?utf-8?q?"
         "?= x",
         " x"},
        // stay as they are
        {"=?x-none?Q?a=20b?=", "=?x-none?Q?a=20b?="},
        {"=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
        {"=?utf-8?Q?abc", "=?utf-8?Q?abc"},
        {"=?utf-8", "=?utf-8"},
        {"=? =?= 1=?2", "=? =?= 1=?2"},
        {"=?utf-8?q?a=zz=?=", "a=zz="},
        {"J\xc3\xbcrgen \xff", "Jürgen \ufffd"},
    };
    for (const auto& row : rows) {
        INFO(row.in);
        CHECK(decode_encoded_words(row.in) == row.want);
    }
    CHECK(decode_encoded_words("=?utf-8?q?" + std::string(1000, 'x') + "?=", 10) == "xxxxxxxxxx");
}

TEST_CASE("content types") {
    auto type = parse_content_type(" text/Plain; charset=us-ascii (Plain text)");
    REQUIRE(type);
    CHECK(type->type == "text");
    CHECK(type->subtype == "Plain");
    CHECK(type->params == std::vector<Parameter>{{"charset", "us-ascii"}});
    CHECK(parse_content_type("text/plain; charset=\"us-\\ascii\"")->params ==
          std::vector<Parameter>{{"charset", "us-ascii"}});
    CHECK(parse_content_type("text ( c ) / html ;a=b;;c=d;")->params == std::vector<Parameter>{{"a", "b"}, {"c", "d"}});
    CHECK(parse_content_type("a/b; name=My File.txt; x=y")->params ==
          std::vector<Parameter>{{"name", "My File.txt"}, {"x", "y"}});
    CHECK(parse_content_type("a/b; boundary=----=_Part(1)")->params ==
          std::vector<Parameter>{{"boundary", "----=_Part(1)"}});
    CHECK(parse_content_type("a/b; x=1 y=2")->params == std::vector<Parameter>{{"x", "1"}, {"y", "2"}});
    CHECK(parse_content_type("a/b; junk; x=; =z; y=2")->params == std::vector<Parameter>{{"x", ""}, {"y", "2"}});
    CHECK(parse_content_type("a/b charset=x; y=2")->params == std::vector<Parameter>{{"y", "2"}});
    CHECK(parse_content_type("text")->subtype == "plain");
    for (auto bad : {"", "/", "text/", "/plain", "foo", "\"text\"/plain", "(text/plain)"})
        CHECK_FALSE(parse_content_type(bad));
    std::string many = "a/b";
    for (int i = 0; i < 40; ++i) many += "; p" + std::to_string(i) + "=1";
    CHECK(parse_content_type(many)->params.size() == 32);
    CHECK(parse_content_type(many)->truncated);
    auto longer = parse_content_type("a/b; x=" + std::string(1001, 'x') + "; y=" + std::string(1000, 'y'));
    CHECK(longer->params.size() == 1);
    CHECK(longer->truncated);
    bool truncated = false;
    CHECK(parse_disposition("attachment; filename=\"a b\"", truncated) ==
          Disposition{"attachment", {{"filename", "a b"}}});
    CHECK(parse_disposition("filename=x", truncated) == Disposition{"attachment", {{"filename", "x"}}});
    CHECK_FALSE(parse_disposition("", truncated));
    CHECK_FALSE(truncated);
}

TEST_CASE("parameters of RFC 2231") {
    auto find = [](std::string_view value, std::string_view name) {
        return find_parameter(parse_content_type(value)->params, name);
    };
    CHECK(find("message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"", "url") ==
          "ftp://cs.utk.edu/pub");
    CHECK(find("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title") ==
          "This is ***fun***");
    CHECK(
        find("application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
             " title*2=\"isn't it!\"",
             "title") == "This is even more ***fun*** isn't it!");
    CHECK(find("a/b; n*1*=b; n*0*=utf-8''a", "n") == "ab");
    CHECK(find("a/b; n*0=a; n*2=c", "n") == "a");
    CHECK(find("a/b; n*=iso-8859-1''%fc", "n") == "ü");
    CHECK(find("a/b; n*=x-none''%fc", "n") == "\ufffd");
    CHECK(find("a/b; n*=%41%zz", "n") == "A%zz");
    CHECK(find("a/b; n=plain; n*=utf-8''%c3%bc", "n") == "ü");
    CHECK(find("a/b; n=\"=?utf-8?q?=C3=BC?=.txt\"", "n") == "ü.txt");
    CHECK(find("a/b; name=x", "n") == std::nullopt);
    CHECK(find("a/b; n*1=x", "n") == std::nullopt);
    CHECK(find("a/b; n*x=y", "n") == std::nullopt);
    Part part;
    part.params = {{"name", "from type"}};
    CHECK(file_name(part) == "from type");
    part.disposition = Disposition{"attachment", {{"filename", "from disposition"}}};
    CHECK(file_name(part) == "from disposition");
}

namespace {

template <class Decoder>
std::string decode(std::string_view in, size_t step) {
    Decoder decoder;
    std::string out;
    for (size_t i = 0; i < in.size(); i += step) decoder.feed(in.substr(i, step), out);
    decoder.finish(out);
    return out;
}

}  // namespace

TEST_CASE("base64") {
    struct Row {
        std::string in, want;
    };
    // RFC 4648 10, then what must be tolerated
    const std::vector<Row> rows = {{"", ""},
                                   {"Zg==", "f"},
                                   {"Zm8=", "fo"},
                                   {"Zm9v", "foo"},
                                   {"Zm9vYg==", "foob"},
                                   {"Zm9vYmE=", "fooba"},
                                   {"Zm9vYmFy", "foobar"},
                                   {"  Zm9v\r\n YmFy\r\n", "foobar"},
                                   {"Zm!9v-YmFy", "foobar"},
                                   {"Zg==Zg==", "ff"},
                                   {"Zm8", "fo"},
                                   {"Z", ""},
                                   {"====", ""}};
    for (const auto& row : rows) {
        for (size_t step : {1, 2, 3, 5, 100}) CHECK(decode<Base64Decoder>(row.in, step) == row.want);
    }
    std::mt19937 random(1);
    for (size_t length = 0; length < 200; ++length) {
        std::string bytes;
        for (size_t i = 0; i < length; ++i) bytes += static_cast<char>(random());
        auto lines = encode_base64_lines(bytes);
        CHECK(decode<Base64Decoder>(lines, 7) == bytes);
        CHECK(lines.find("\r\n") == (length == 0 ? std::string::npos : std::min<size_t>((length + 2) / 3 * 4, 76)));
    }
    CHECK(encode_base64("fooba") == "Zm9vYmE=");
}

TEST_CASE("quoted-printable") {
    struct Row {
        std::string in, want;
    };
    const std::vector<Row> rows = {
        {"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
         "Now's the time for all folk to come to the aid of their country."},
        {"J=C3=BCrgen=c3=bc", "Jürgenü"},
        {"trailing  \t\r\nblanks \n", "trailing\r\nblanks\n"},
        {"soft= \t\r\nbreak=\nlf", "softbreaklf"},
        {"=3D=20\r\n", "= \r\n"},
        {"bad =XY =4 =4Z ==41", "bad =XY =4 =4Z =A"},
        {"end=", "end"},
        {"end=4", "end=4"},
        {"end  ", "end"},
        {"a \t b", "a \t b"},
        {"a\rb", "a\rb"},
        {"a\r\rb", "a\r\rb"},
        {"=\rx", "=\rx"},
        {"a =20\r\n", "a  \r\n"},
    };
    for (const auto& row : rows) {
        INFO(row.in);
        for (size_t step : {1, 2, 3, 5, 1000}) CHECK(decode<QuotedPrintableDecoder>(row.in, step) == row.want);
    }
    CHECK(decode<QuotedPrintableDecoder>(std::string(100000, ' ') + "x", 64).size() == 100001);
    CHECK(parse_transfer_encoding(" Base64 (c)") == TransferEncoding::base64);
    CHECK(parse_transfer_encoding("QUOTED-PRINTABLE") == TransferEncoding::quoted_printable);
    CHECK(parse_transfer_encoding("") == TransferEncoding::identity);
    CHECK(parse_transfer_encoding("8BIT") == TransferEncoding::identity);
    CHECK(parse_transfer_encoding("x-uuencode") == TransferEncoding::unknown);
}

TEST_CASE("modified UTF-7") {
    struct Row {
        std::string utf8, utf7;
    };
    const std::vector<Row> rows = {
        {"", ""},
        {"INBOX", "INBOX"},
        {"~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},  // RFC 3501 5.1.3
        {"a&b", "a&-b"},
        {"&", "&-"},
        {"é&", "&AOk-&-"},
        {"Entwürfe", "Entw&APw-rfe"},
        {"😀", "&2D3eAA-"},
        {"☺!", "&Jjo-!"},  // RFC 3501 5.1.3
        {"\t", "&AAk-"},
    };
    for (const auto& row : rows) {
        INFO(row.utf7);
        CHECK(encode_utf7(row.utf8) == row.utf7);
        CHECK(decode_utf7(row.utf7) == row.utf8);
    }
    for (auto bad : {"&", "&Jjo", "&Jjo!", "&Jj-", "&J-", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "&Jjp-", "&2D0-", "&3gA-",
                     "&2D3YPQ-", "ü", "a\tb", "\x7f", "&Jjo*-", "&Jjo=-", "&AAAA-"}) {
        INFO(bad);
        CHECK_FALSE(decode_utf7(bad));
    }
    CHECK_FALSE(encode_utf7("\xff"));
}

TEST_CASE("text folds as i;unicode-casemap has it") {
    struct Row {
        std::string_view text, folded;
    };
    for (const auto& [text, folded] : {
             Row{"aZ_9", "AZ_9"}, Row{"\u00e9", "E\u0301"}, Row{"E\u0301", "E\u0301"}, Row{"\u00df", "\u00df"},
             Row{"\u03c3\u03c2\u03a3", "\u03a3\u03a3\u03a3"}, Row{"\u0434\u0414", "\u0414\u0414"},
             Row{"\u0439", "\u0418\u0306"},  // RFC 5051 2 (2): decomposed
             Row{"\u0561", "\u0531"},        // Armenian
             Row{"\ufb01", "FI"},            // DEVIATES
             Row{"\uff21\uff42", "AB"},      // wide letters
             Row{"\uac00", "\u1100\u1161"},  // Hangul
             Row{"\u30ac", "\u30ab\u3099"},  // Katakana
             Row{"a\xff\xc3", "A\xff\xc3"},  // no characters
         }) {
        INFO(text);
        CHECK(fold_case(text) == folded);
    }
    for (char32_t c = 0; c <= 0x10ffff; c++) {
        std::string text;
        append_utf8(text, c);
        std::string once = fold_case(text);
        if (fold_case(once) != once) FAIL("U+" << std::hex << static_cast<uint32_t>(c));
    }
}
