#include <algorithm>
#include <map>
#include <random>

#include "common/mail/fold_case.h"
#include "common/mail/html_text.h"
#include "common/mail/mime_parser.h"
#include "common/mail/utf8.h"
#include "common/mail/words.h"
#include "tests/unit/catch.h"

using namespace mox::mail;

namespace {

std::string html(std::string_view text, size_t cut = std::string_view::npos) {
    HtmlText html;
    std::string out;
    html.feed(text.substr(0, cut), out);
    if (cut < text.size()) html.feed(text.substr(cut), out);
    html.finish(out);
    return out;
}

std::string list_of(const std::string& message, const std::string& prefix = "") {
    std::string whole = prefix + message;
    ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < whole.size() ? whole.copy(into.data(), into.size(), offset) : 0;
    };
    auto info = parse_message(message);
    return word_list({info, read, prefix.size()});
}

/// The words of a list, with their classes, in the order of the alphabet.
std::map<std::string, int> words_of(const std::string& list) {
    std::map<std::string, int> words;
    REQUIRE(is_word_list(list));
    WordListReader reader(list);
    while (auto word = reader.next()) words[std::string(word->text)] |= word->classes;
    return words;
}
bool is_complete(const std::string& list) {
    return WordListReader(list).is_complete();
}

/// Collects the texts of a message.
struct Texts : TextSink {
    std::vector<std::string> texts;
    void begin_text() override { texts.emplace_back(); }
    void add_text(std::string_view piece) override { texts.back() += piece; }
};
std::vector<std::string> body_texts(const std::string& message) {
    ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < message.size() ? message.copy(into.data(), into.size(), offset) : 0;
    };
    auto info = parse_message(message);
    Texts texts;
    for (uint32_t i = 0; i < info.parts.size(); i++) read_part_text({info, read}, i, texts);
    return texts.texts;
}

/// Whether a list says that the message holds a text in some class: what the index does with it.
enum class Says { no, maybe, yes };
Says ask(const std::string& list, std::string_view text, int classes) {
    auto query = split_query(fold_case(text));
    bool all = !query.pieces.empty();
    for (const auto& piece : query.pieces) {
        bool found = false;
        WordListReader reader(list);
        while (auto word = reader.next()) found |= (word->classes & classes) != 0 && matches(piece, word->text);
        all &= found;
    }
    if (query.pieces.empty()) return Says::maybe;
    if (all) return query.is_exact ? Says::yes : Says::maybe;
    return is_complete(list) ? Says::no : Says::maybe;
}

}  // namespace

TEST_CASE("the text of HTML") {
    struct Row {
        std::string html, text;
    };
    for (const auto& row : std::vector<Row>{
             {"plain", "plain"},
             {"<b>sub</b>str<SPAN class='x>y'>ing</span>", "substring"},
             {"one<br>two</p>three", "one two three"},
             {"<td>a</td><td>b</td>", " a  b "},
             {"a &amp; b &lt;c&gt; &eacute;&#228;&#xe4;&#XE4;", "a & b <c> \xc3\xa9\xc3\xa4\xc3\xa4\xc3\xa4"},
             {"a&nbsp;b sub&shy;string", "a b substring"},
             {"&bogus; &; & &amp &#0; &#x;", "&bogus; &; & &amp &#0; &#x;"},
             {"AT&T; R&D", "AT&T; R&D"},
             {"x<!-- <b>no</b> -- > -->y", "xy"},
             {"x<!doctype html>y<?xml z?>", "xy"},
             {"x<script>if (a < b) c('</b>')</script>y", "x  y"},
             {"<STYLE>p{}</style>y<title>no</title>", "  y  "},
             {"1 < 2 <3 <", "1 < 2 <3 <"},
             {"<a href=\"a>b\" title='c>d' alt=e>f</a>", "f"},
             {"it's <b title=\"it's\">so</b>", "it's so"},
             {"<unfinished", ""},
             {"<script>never ends", " "},
         }) {
        INFO(row.html);
        CHECK(html(row.html) == row.text);
        for (size_t cut = 0; cut < row.html.size(); cut++) CHECK(html(row.html, cut) == row.text);
    }
    CHECK(character_reference("AElig") == U'\u00c6');
    CHECK(character_reference("zwnj") == U'\u200c');
    CHECK_FALSE(character_reference("nothing"));
    CHECK_FALSE(character_reference("#99999999999"));
}

TEST_CASE("the words of a message") {
    auto list = list_of(
        "From: =?utf-8?q?J=C3=BCrgen?= Smith <j.smith@example.org>\r\nTo: b@two.example\r\nCc: c@three.example\r\n"
        "Bcc: d@four.example\r\nSubject: Re: =?utf-8?b?w4RwZmVs?=\r\n =?utf-8?q?_und?= Birnen\r\nX-Foo: bar_baz\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bnd\r\n\r\n--bnd\r\n"
        "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "<p class=hidden>Gr=FC=DFe <b>sub</b>string</p>\r\n--bnd\r\nContent-Type: text/plain\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nbm/Dqm0gNDIg\r\n--bnd\r\nContent-Type: message/rfc822\r\n\r\n"
        "Subject: inner\r\n\r\ndeep\r\n--bnd\r\nContent-Type: application/x\r\n\r\nsecret\r\n--bnd--\r\n");
    auto words = words_of(list);
    CHECK(is_complete(list));
    CHECK(words[fold_case("j\xc3\xbcrgen")] == (kInHeader | kInFrom));
    CHECK(words[fold_case("smith")] == (kInHeader | kInFrom));
    CHECK(words[fold_case("example")] == (kInHeader | kInFrom | kInTo | kInCc | kInBcc));
    CHECK(words[fold_case("two")] == (kInHeader | kInTo));
    CHECK(words[fold_case("\xc3\xa4pfel")] == (kInHeader | kInSubject));
    CHECK(words[fold_case("und")] == (kInHeader | kInSubject));
    CHECK(words[fold_case("subject")] == (kInHeader | kInBody));
    CHECK(words[fold_case("bar_baz")] == kInHeader);
    CHECK(words[fold_case("bnd")] == kInHeader);
    CHECK(words[fold_case("gr\xc3\xbc\xc3\x9f\x65")] == kInBody);
    CHECK(words[fold_case("substring")] == kInBody);
    CHECK(words[fold_case("42")] == kInBody);
    CHECK(words[fold_case("inner")] == kInBody);
    CHECK(words[fold_case("deep")] == kInBody);
    CHECK_FALSE(words.contains("HIDDEN"));
    CHECK_FALSE(words.contains("SECRET"));
    CHECK_FALSE(words.contains("P"));
}

TEST_CASE("words of headers in front, and joined lists") {
    std::string message = "Subject: one\r\n\r\ntwo\r\n";
    std::string prefix = "Return-Path: <three@four>\r\nReceived: by five;\r\n\tsix\r\n";
    auto joined = join_word_lists(list_of(message), header_word_list(prefix));
    CHECK(words_of(joined) == words_of(list_of(message, prefix)));
    CHECK(is_complete(joined));
    CHECK(join_word_lists("", header_word_list(prefix)).empty());
    CHECK(join_word_lists(list_of(message), "").empty());
    CHECK_FALSE(is_complete(header_word_list("no line end")));
    // It would go on with the line before it.
    CHECK_FALSE(is_complete(list_of(" folded: x\r\n\r\ny\r\n")));
    CHECK(is_complete(list_of(" folded: x\r\n\r\ny\r\n", prefix)));
}

TEST_CASE("what is too much is marked") {
    std::string many = "\r\n";
    for (int i = 0; i < 30000; i++) many += "word" + std::to_string(i) + " ";
    auto list = list_of(many);
    CHECK(is_word_list(list));
    CHECK(list.size() <= kMaxWordList);
    CHECK_FALSE(is_complete(list));
    CHECK(words_of(list).contains("WORD0"));
    CHECK_FALSE(is_complete(list_of("\r\n" + std::string(kMaxWordText + 1, 'x') + " y")));
    CHECK_FALSE(is_complete(list_of("Content-Type: text/plain; charset=x-klingon\r\n\r\nabc\r\n")));
    CHECK(words_of(list_of("Content-Type: text/plain; charset=x-klingon\r\n\r\nabc\r\n")).contains("ABC"));
    CHECK_FALSE(is_complete(list_of("a: " + std::string(kMaxWordHeader, 'x') + "\r\n\r\ny")));
}

TEST_CASE("lists are checked") {
    using namespace std::string_literals;
    CHECK(is_word_list("\1\0"s));
    CHECK(is_word_list("\1\1\1\1a"s));
    for (const std::string& bad :
         {""s, "\1"s, "\2\0"s, "\1\2"s, "\1\0\1"s, "\1\0\1\1"s, "\1\0\0\1a"s, "\1\0\x80\1a"s, "\1\0\1\0"s,
          "\1\0\1\x41"s + std::string(65, 'a'), "\1\0\1\1\0"s, std::string(kMaxWordList + 1, '\1')}) {
        INFO(bad.size());
        CHECK_FALSE(is_word_list(bad));
    }
}

TEST_CASE("long words and scripts without blanks") {
    std::string word;
    for (int i = 0; i < 400; i++) word += std::string(1, static_cast<char>('a' + i * 7 % 26)) + std::to_string(i);
    for (size_t cut : {size_t{0}, size_t{1}, size_t{100}, word.size() - 1}) {
        WordCollector words;
        words.add_text("x " + word.substr(0, cut));
        words.add_text(word.substr(cut) + " y");
        auto list = words.finish();
        for (size_t at = 0; at < word.size(); at++)
            for (size_t length : {size_t{1}, size_t{5}, kMaxPiece})
                CHECK(ask(list, std::string_view(word).substr(at, length), kInBody) == Says::yes);
        CHECK(ask(list, word, kInBody) == Says::maybe);
        CHECK(ask(list, "x " + word + " y", kInBody) == Says::maybe);
        CHECK(ask(list, word + "z", kInBody) == Says::maybe);  // only its beginning is looked for
        CHECK(ask(list, "z" + word, kInBody) == Says::no);
    }
    auto list = list_of("\r\n日本語のテキスト、abc漢def กขค\r\n");
    for (std::string_view yes : {"日", "日本", "本語", "キス", "漢", "abc", "bc", "กข"})
        CHECK(ask(list, yes, kInBody) == Says::yes);
    for (std::string_view maybe : {"日本語", "日本語のテキスト", "abc漢def", "c漢d"})
        CHECK(ask(list, maybe, kInBody) == Says::maybe);
    for (std::string_view no : {"本日", "語日本", "漢字", "abc漢字", "日本語x"})
        CHECK(ask(list, no, kInBody) == Says::no);
}

// All at once takes the way for ASCII, a byte at a time the one for whatever there is.
TEST_CASE("a text has the same words however it comes in") {
    std::mt19937 random(7);
    constexpr std::array<std::string_view, 14> kPieces = {
        "a", "Word", "x9_", " ", "\r\n", ".", "longer", "é", "日本", "\xff", "sixteenletters16", "-", "\0", "ß"};
    auto words_of = [](std::string_view text, size_t step) {
        WordCollector words;
        words.use(kInBody);
        words.begin_text();
        for (size_t at = 0; at < text.size();) {
            size_t size = std::min(step, text.size() - at);
            while (at + size < text.size() && (static_cast<unsigned char>(text[at + size]) & 0xc0) == 0x80) size++;
            words.add_text(text.substr(at, size));
            at += size;
        }
        return words.finish();
    };
    for (int round = 0; round < 300; round++) {
        std::string text;
        for (int n = static_cast<int>(random() % 120); n > 0; n--) {
            auto piece = kPieces[random() % kPieces.size()];
            for (int times = random() % 50 == 0 ? 40 : 1; times > 0; times--) text += piece;
        }
        std::string whole = words_of(text, SIZE_MAX / 2);
        CHECK(is_word_list(whole));
        for (size_t step : {1, 7, 64, 100}) REQUIRE(words_of(text, step) == whole);
    }
}

TEST_CASE("queries fall into pieces") {
    using enum PieceMode;
    CHECK(split_query("ubst").pieces == std::vector<QueryPiece>{{"ubst", within}});
    CHECK(split_query("ubst").is_exact);
    CHECK(split_query("a b-c d").pieces ==
          std::vector<QueryPiece>{{"a", ends}, {"b", whole}, {"c", whole}, {"d", begins}});
    CHECK_FALSE(split_query("a b").is_exact);
    CHECK(split_query(" a").pieces == std::vector<QueryPiece>{{"a", begins}});
    CHECK(split_query("a ").pieces == std::vector<QueryPiece>{{"a", ends}});
    CHECK_FALSE(split_query("a ").is_exact);
    CHECK(split_query("@ !").pieces.empty());
    CHECK(split_query("").pieces.empty());
    CHECK(split_query("x", "X-Foo").pieces == std::vector<QueryPiece>{{"x", within}, {"X", whole}, {"FOO", whole}});
    CHECK_FALSE(split_query("x", "X-Foo").is_exact);
    CHECK(split_query("a b c d e f g h i j k l m n o p q r s t").pieces.size() == kMaxQueryPieces);
}

TEST_CASE("words never say other than the texts do") {
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {"a",
                                             "b",
                                             "ab",
                                             "abc",
                                             "A",
                                             "É",
                                             "é",
                                             "ß",
                                             " ",
                                             "  ",
                                             "\r\n",
                                             "-",
                                             ".",
                                             "@",
                                             "日",
                                             "本",
                                             "語",
                                             "、",
                                             "\xff",
                                             "\xc3",
                                             "\xe6\x97",
                                             "0",
                                             "42",
                                             "_",
                                             "<b>",
                                             "</b>",
                                             "<p>",
                                             "&amp;",
                                             "&eacute;",
                                             "&",
                                             "Σ",
                                             "ς",
                                             "😀",
                                             "\xc2\xa0",
                                             "=",
                                             "straße",
                                             std::string(40, 'q')};
    auto make = [&](size_t most) {
        std::string text;
        for (size_t n = random() % most + 1; n > 0; n--) text += pieces[random() % pieces.size()];
        return text;
    };
    for (int round = 0; round < 400; round++) {
        std::string type = random() % 2 == 0 ? "html" : "plain";
        std::string message = "Content-Type: text/" + type + "; charset=utf-8\r\n\r\n" + make(60);
        auto list = list_of(message);
        auto texts = body_texts(message);
        for (int i = 0; i < 60; i++) {
            std::string text = make(4);
            // Half of what is looked for is there.
            auto folded_text = fold_case(texts.front());
            if (i % 2 == 0 && !folded_text.empty())
                text = folded_text.substr(random() % folded_text.size(), random() % 12 + 1);
            if (text.empty() || !is_utf8(text)) continue;
            bool holds = std::ranges::any_of(
                texts, [&](const auto& t) { return fold_case(t).find(fold_case(text)) != std::string::npos; });
            Says says = ask(list, text, kInBody);
            INFO(message << " / " << text);
            CHECK((says == Says::maybe || (says == Says::yes) == holds));
        }
    }
}
