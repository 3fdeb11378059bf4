#include "imapd/worker/search_text.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

void fill(World& world) {
    auto& box = *world.store.find("INBOX");
    auto day = [](int d) { return proto::Timestamp{1704067200 + d * 86400 + 36000, 0}; };  // 1-Jan-2024 10:00 and on
    world.store.add(box,
                    "From: Alice <alice@one.example>\r\nTo: bob@two.example\r\nSubject: Meeting on Monday\r\n"
                    "Date: Mon, 01 Jan 2024 23:30:00 -0500\r\n\r\nthe quick brown fox\r\n",
                    proto::kSeen, "", day(0));
    world.store.add(box,
                    "From: =?utf-8?q?B=C3=B6b?= <bob@two.example>\r\nCc: carol@three.example\r\nSubject: Re: "
                    "Meeting\r\nX-Empty:\r\n"
                    "Date: Tue, 02 Jan 2024 10:00:00 +0000\r\n\r\njumps over\r\n",
                    proto::kAnswered | proto::kFlagged, "Received: prefixed\r\n", day(1));
    uint64_t keyword = world.store.bit_of(box, "Word");
    world.store.add(box,
                    "From: carol@three.example\r\nBcc: hidden@four.example\r\nSubject: =?utf-8?b?Q2Fmw4k=?=\r\n"
                    "Date: Wed, 03 Jan 2024 10:00:00 +0000\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\ndGhlIGxhenkgZPZn\r\n",
                    proto::kDeleted | proto::kJunk, "", day(2), keyword);
    world.store.add(box,
                    "From: dave@five.example\r\nSubject: large\r\nDate: nonsense\r\nMIME-Version: 1.0\r\nContent-Type: "
                    "multipart/mixed; boundary=b\r\n\r\n"
                    "--b\r\nContent-Type: text/html\r\n\r\n<b>needle</b>\r\n--b\r\nContent-Type: text/plain\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\nhay=\r\nstack\r\n--b\r\nContent-Type: "
                    "application/x\r\n\r\nsecret\r\n"
                    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: forwarded\r\n\r\ninnermost\r\n--b--\r\n" +
                        std::string(6000, 'e') + "\r\n",
                    proto::kDraft, "", day(152));
}

}  // namespace

TEST_CASE("search keys") {
    World world;
    fill(world);
    auto client = world.login();
    client.ok("EXAMINE INBOX");
    struct Row {
        std::string keys, expected;
    };
    for (const auto& row : std::vector<Row>{{"ALL", " 1 2 3 4"},
                                            {"2:3", " 2 3"},
                                            {"*", " 4"},
                                            {"UID 1,4", " 1 4"},
                                            {"UID 100:200", ""},
                                            {"UID 4:*", " 4"},
                                            {"UID 9:*", " 4"},
                                            {"SEEN", " 1"},
                                            {"UNSEEN", " 2 3 4"},
                                            {"ANSWERED FLAGGED", " 2"},
                                            {"UNDELETED", " 1 2 4"},
                                            {"DRAFT", " 4"},
                                            {"NEW", ""},
                                            {"RECENT", ""},
                                            {"OLD", " 1 2 3 4"},
                                            {"KEYWORD word", " 3"},
                                            {"UNKEYWORD WORD", " 1 2 4"},
                                            {"KEYWORD other", ""},
                                            {"UNKEYWORD other", " 1 2 3 4"},
                                            {"KEYWORD $junk", " 3"},
                                            {"UNKEYWORD $Junk", " 1 2 4"},
                                            {"FROM alice", " 1"},
                                            {"FROM ALICE@ONE", " 1"},
                                            {"FROM \"Alice alice@\"", " 1"},
                                            {"TO bob", " 1"},
                                            {"CC carol", " 2"},
                                            {"BCC hidden", " 3"},
                                            {"SUBJECT meeting", " 1 2"},
                                            {"SUBJECT \"on monday\"", " 1"},
                                            {"HEADER Subject re:", " 2"},
                                            {"HEADER X-Empty \"\"", " 2"},
                                            {"HEADER X-None \"\"", ""},
                                            {"HEADER received PREFIX", " 2"},
                                            {"HEADER subject caf", " 3"},
                                            {"BODY fox", " 1"},
                                            {"BODY FOX", " 1"},
                                            {"BODY meeting", ""},
                                            {"BODY lazy", " 3"},
                                            {"BODY needle", " 4"},
                                            {"BODY haystack", " 4"},
                                            {"BODY secret", ""},
                                            {"BODY innermost", " 4"},
                                            {"BODY forwarded", " 4"},
                                            {"TEXT meeting", " 1 2"},
                                            {"TEXT jumps", " 2"},
                                            {"TEXT prefixed", " 2"},
                                            {"BODY fox TEXT meeting", " 1"},
                                            {"OR BODY fox BODY needle", " 1 4"},
                                            {"NOT BODY fox", " 2 3 4"},
                                            {"NOT TEXT meeting", " 3 4"},
                                            {"BEFORE 2-Jan-2024", " 1"},
                                            {"ON 2-Jan-2024", " 2"},
                                            {"SINCE 3-Jan-2024", " 3 4"},
                                            {"SENTBEFORE 2-Jan-2024", " 1"},
                                            {"SENTON 1-Jan-2024", " 1"},
                                            {"SENTON 3-Jan-2024", " 3"},
                                            {"SENTSINCE 2-Jan-2024", " 2 3"},
                                            {"SENTSINCE \"1-Jan-2024\"", " 1 2 3"},
                                            {"NOT SENTSINCE 1-Jan-2024", " 4"},
                                            {"LARGER 5000", " 4"},
                                            {"SMALLER 5000", " 1 2 3"},
                                            {"NOT SEEN", " 2 3 4"},
                                            {"NOT NOT SEEN", " 1"},
                                            {"OR SEEN FLAGGED", " 1 2"},
                                            {"OR (FROM bob) (FROM carol)", " 2 3"},
                                            {"OR OR SEEN FLAGGED DRAFT", " 1 2 4"},
                                            {"(UNSEEN UNFLAGGED) UNDELETED", " 4"},
                                            {"NOT (OR SEEN FLAGGED)", " 3 4"},
                                            {"CHARSET us-ascii SEEN", " 1"},
                                            {"1:3 NOT 2", " 1 3"},
                                            {"SEEN BODY fox", " 1"},
                                            {"UNSEEN BODY fox", ""}}) {
        INFO(row.keys);
        CHECK(client.ok("SEARCH " + row.keys) == Lines{"* SEARCH" + row.expected});
        CHECK(client.ok("UID SEARCH " + row.keys) == Lines{"* SEARCH" + row.expected});
    }
    auto utf8 = [&](const std::string& key, std::string_view text) {
        return client
            .ok("SEARCH CHARSET UTF-8 " + key + " {" + std::to_string(text.size()) + "+}\r\n" + std::string(text))
            .front();
    };
    CHECK(utf8("SUBJECT", "café") == "* SEARCH 3");
    CHECK(utf8("TEXT", "CAFÉ") == "* SEARCH 3");
    CHECK(utf8("BODY", "DÖG") == "* SEARCH 3");
    CHECK(utf8("FROM", "bÖb") == "* SEARCH 2");
    CHECK(client.answer("SEARCH CHARSET X-NO ALL") == "NO [BADCHARSET (US-ASCII UTF-8)] charset not supported");
    CHECK(client.ok("SEARCH 3:5") == Lines{"* SEARCH 3 4"});  // RFC 7377 2: no error
    CHECK(client.answer("SEARCH SUBJECT {1+}\r\n\xff").starts_with("BAD"));
    // Message 4 is gone elsewhere, untold: its row still answers, its content does not.
    world.store.quiet = true;
    world.store.remove(*world.store.find("INBOX"), 4);
    CHECK(client.ok("SEARCH BODY needle") == Lines{"* SEARCH"});
    CHECK(client.ok("SEARCH DRAFT") == Lines{"* SEARCH 4"});
}

TEST_CASE("searching in an empty mailbox") {
    World world;
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("SEARCH BODY x") == Lines{"* SEARCH"});
    CHECK(client.ok("UID SEARCH UID 1:*") == Lines{"* SEARCH"});
    CHECK(client.ok("SEARCH 1:*") == Lines{"* SEARCH"});  // RFC 7377 2
}

TEST_CASE("words are found wherever the text is cut") {
    const std::string text = "Straße über ÉCLAIR ΣΊΓΜΑ Ёж and needle";
    for (std::string word : {"über", "éclair", "ёж", "needle", "straße über"}) {
        for (size_t cut = 0; cut <= text.size(); cut++) {
            if (cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) continue;
            std::vector<std::string> words{fold_case(word)};
            WordFinder finder(words);
            finder.feed(text.substr(0, cut));
            finder.feed(text.substr(cut));
            INFO(word << " cut at " << cut);
            CHECK(finder.found(0));
        }
    }
    std::vector<std::string> words{"ab"};
    WordFinder finder(words);
    finder.feed("a");
    finder.restart();
    finder.feed("b");
    CHECK_FALSE(finder.found(0));
}

TEST_CASE("a long body is searched in pieces") {
    World world;
    std::string body;
    for (int i = 0; i < 40000; i++) body += "line number " + std::to_string(i) + "\r\n";
    world.store.add(*world.store.find("INBOX"), "Content-Type: text/plain; charset=iso-8859-15\r\n\r\n" + body);
    auto client = world.login();
    client.ok("SELECT INBOX");
    for (std::string_view word : {"number 0", "number 20000", "number 39999"})
        CHECK(client.ok("SEARCH BODY \"" + std::string(word) + "\"") == Lines{"* SEARCH 1"});
    CHECK(client.ok("SEARCH BODY \"number 40000\"") == Lines{"* SEARCH"});
}

namespace {

/// A mailbox with many messages, of which each has some of a few words.
void fill_many(World& world, size_t count) {
    const std::vector<std::string> words = {"alpha", "beta", "gamma", "alphabet", "caf\xc3\xa9", "x-ray", "1234"};
    auto& box = *world.store.find("INBOX");
    for (size_t i = 0; i < count; i++) {
        auto word = [&](size_t n) { return words[(i * 7 + n * n + i / 5) % words.size()]; };
        world.store.add(box,
                        "From: " + word(1) + " <" + word(2) + "@one.example>\r\nTo: " + word(3) +
                            "@two.example\r\nSubject: " + word(4) + " " + word(5) + "\r\nX-Kind: " + word(6) +
                            "\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>" + word(7) + "</p> <b>" + word(8) +
                            "</b>s " + word(9) + " " + word(10) + "\r\n",
                        0, i % 3 == 0 ? "Received: by " + word(11) + "\r\n" : "");
    }
}
const std::vector<std::string> kTexts = {
    "alpha",     "alphab",     "lph", "a",  "alphas",  "\"alpha beta\"", "\"a b\"", "x-ray", "-",
    "y.example", "one.exampl", "123", "4s", "nothing", "\"gamma \"",     "Kind",    "p",     "received"};
std::vector<std::string> queries() {
    std::vector<std::string> out;
    for (const auto& text : kTexts) {
        for (std::string_view key : {"TEXT", "BODY", "SUBJECT", "FROM", "TO", "HEADER X-Kind", "HEADER Subject"})
            out.push_back(std::string(key) + " " + text);
        out.push_back("NOT TEXT " + text + " SUBJECT alpha");
        out.push_back("OR BODY " + text + " FROM beta");
        out.push_back("UID 5:60 TEXT " + text);
    }
    out.push_back("HEADER Received \"\"");
    out.push_back("HEADER X-None \"\"");
    out.push_back("TEXT \"\"");
    std::string many;
    for (int i = 0; i < 20; i++) many += "OR TEXT beta" + std::to_string(i) + " ";
    out.push_back(many + "BODY gamma");
    return out;
}

}  // namespace

TEST_CASE("with an index or without, a search finds the same") {
    World world;
    fill_many(world, 150);
    auto client = world.login();
    client.ok("SELECT INBOX");
    world.store.has_index = false;
    std::vector<Lines> expected;
    for (const auto& query : queries()) expected.push_back(client.ok("SEARCH " + query));
    world.store.has_index = true;
    // All in the index, half of it, some of that incomplete, none.
    auto all = world.store.words;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < expected.size(); i++) {
            world.store.words = all;
            if (round == 1) std::erase_if(world.store.words, [](const auto& w) { return w.first % 2 == 0; });
            if (round == 2)
                for (auto& [content, list] : world.store.words)
                    if (content % 3 == 0) list = std::string("\1\1", 2);
            if (round == 3) world.store.words.clear();
            INFO(queries()[i] << " round " << round);
            CHECK(client.ok("SEARCH " + queries()[i]) == expected[i]);
        }
    }
}

TEST_CASE("the index saves reading, and gets what it lacks") {
    World world;
    world.store.index_new = false;
    fill_many(world, 100);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(world.store.words.empty());
    auto expected = client.ok("SEARCH TEXT alpha");
    CHECK(world.store.files_opened == 100);
    CHECK(world.store.words.size() == 100);
    world.store.files_opened = 0;
    CHECK(client.ok("SEARCH TEXT alpha") == expected);
    CHECK(client.ok("SEARCH BODY nothing") == Lines{"* SEARCH"});
    CHECK(world.store.files_opened == 0);
    CHECK(client.ok("SEARCH TEXT \"alpha beta\"").size() == 1);
    CHECK(world.store.files_opened < 100);
    // An answer that cannot be trusted is none.
    world.store.seal = false;
    CHECK(client.ok("SEARCH TEXT alpha") == expected);
    // A few messages are read at once.
    auto asked = world.store.find_texts;
    client.ok("SEARCH 1:5 TEXT alpha");
    client.ok("SEARCH OR SUBJECT alpha SENTSINCE 1-Jan-2020");
    CHECK(world.store.find_texts == asked);
    // What is gone has no text, whatever the index says.
    world.store.seal = true;
    world.store.remove(*world.store.find("INBOX"), 1);
    client.ok("NOOP");
    CHECK(client.ok("UID SEARCH NOT TEXT nothing").front().starts_with("* SEARCH 2 3"));
}
