// URLs with authorization: their grammar, GENURLAUTH, RESETKEY and URLFETCH (RFC 4467, RFC 5524).
#include "common/pack/frames.h"
#include "imapd/grammar/imap_url.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;

TEST_CASE("URLs with authorization") {
    // RFC 4467 7 URLFETCH
    auto url = parse_auth_url(
        "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:"
        "91354a473744909de610943775f92038");
    REQUIRE(url);
    CHECK(url->terms.user == "joe");
    CHECK(url->terms.host == "example.com");
    CHECK(url->terms.mailbox == "INBOX");
    CHECK_FALSE(url->terms.uidvalidity);
    CHECK(url->terms.uid.value == 20);
    CHECK(url->terms.section == "1.2");
    CHECK(url->section.numbers == std::vector<uint32_t>{1, 2});
    CHECK(url->terms.access == proto::UrlAccess::submit);
    CHECK(url->terms.access_user == "fred");
    CHECK_FALSE(url->terms.expire);
    CHECK(url->mechanism == "INTERNAL");
    CHECK(url->token.size() == 16);
    CHECK(url->token[0] == '\x91');
    // GENURLAUTH
    url = parse_auth_url("imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred");
    REQUIRE(url);
    CHECK(url->mechanism.empty());
    url = parse_auth_url(
        "IMAP://a%40b.c;AUTH=*@Example.COM:1143/%C3%A9/x;UIDVALIDITY=7/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)/"
        ";PARTIAL=0.100;EXPIRE=2030-01-02T03:04:05+01:00;URLAUTH=user+d%2Be%40f");
    REQUIRE(url);
    CHECK(url->terms.user == "a@b.c");
    CHECK(url->terms.host == "example.com:1143");
    CHECK(url->terms.mailbox == "\xc3\xa9/x");
    CHECK(url->terms.uidvalidity == 7u);
    CHECK(url->terms.section == "HEADER.FIELDS (Subject)");
    CHECK(url->terms.partial == "0.100");
    CHECK(url->section.partial->count == 100);
    CHECK(url->terms.expire == 1893549845);
    CHECK(url->terms.access_user == "d+e@f");
    CHECK(parse_auth_url("imap://j@h/b/;UID=1;URLAUTH=anonymous")->terms.access == proto::UrlAccess::anonymous);
    CHECK(parse_auth_url("imap://j@h/b/;UID=1;URLAUTH=AuthUser")->terms.access == proto::UrlAccess::authuser);
    for (std::string_view bad : {
             "imap://j@h/b/;UID=1",                                 // no authorization
             "imap://h/b/;UID=1;URLAUTH=authuser",                  // RFC 4467 7: no user
             "imap://@h/b/;UID=1;URLAUTH=authuser",                 //
             "imap://j@/b/;UID=1;URLAUTH=authuser",                 //
             "http://j@h/b/;UID=1;URLAUTH=authuser",                //
             "/b/;UID=1;URLAUTH=authuser",                          // not absolute
             "imap://j@h/;URLAUTH=authuser",                        // RFC 4467 3: a server
             "imap://j@h/b;URLAUTH=authuser",                       // a mailbox
             "imap://j@h/b?SUBJECT%20x;URLAUTH=authuser",           // a search
             "imap://j@h/;UID=1;URLAUTH=authuser",                  // no mailbox
             "imap://j@h/b/;UID=0;URLAUTH=authuser",                //
             "imap://j@h/b;UIDVALIDITY=0/;UID=1;URLAUTH=authuser",  // RFC 5092 11: nz-number
             "imap://j@h/b/;UID=1/;PARTIAL=0.0;URLAUTH=authuser",   //
             "imap://j@h/b/;UID=1;URLAUTH=",                        //
             "imap://j@h/b/;UID=1;URLAUTH=user+",                   //
             "imap://j@h/b/;UID=1;URLAUTH=friend+x",                //
             "imap://j@h/b/;UID=1;URLAUTH=authuser:internal",       //
             "imap://j@h/b/;UID=1;URLAUTH=authuser:internal:",      //
             "imap://j@h/b/;UID=1;URLAUTH=authuser:internal:0",     //
             "imap://j@h/b/;UID=1;URLAUTH=authuser:internal:0g",    //
             "imap://j@h/b/;UID=1;URLAUTH=authuser;EXPIRE=2030-01-01T00:00:00Z",
             "imap://j@h/b/;UID=1;EXPIRE=tomorrow;URLAUTH=authuser",    //
             "imap://j@h/b/;UID=1/;SECTION=NONSENSE;URLAUTH=authuser",  //
             "imap://j@h/b%00/;UID=1;URLAUTH=authuser",                 //
             "imap://j@h/b\r\n/;UID=1;URLAUTH=authuser",                //
         }) {
        INFO(bad);
        CHECK_FALSE(parse_auth_url(bad));
    }
    CHECK_FALSE(parse_auth_url("imap://j@h/" + std::string(kMaxUrl, 'b') + "/;UID=1;URLAUTH=authuser"));
}

TEST_CASE("dates of the Internet") {
    CHECK(parse_internet_date("1970-01-01T00:00:00Z") == 0);
    CHECK(parse_internet_date("1985-04-12T23:20:50.52Z") == 482196050);  // RFC 3339 5.8
    CHECK(parse_internet_date("1996-12-19T16:39:57-08:00") == 851042397);
    CHECK(parse_internet_date("2024-02-29t00:00:00z") == 1709164800);
    CHECK(parse_internet_date("1990-12-31T23:59:60Z") == 662688000);
    for (std::string_view bad :
         {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
          "2024-01-01 00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+1:00",
          "2024-01-01T00:00:00+24:00", "0000-01-01T00:00:00Z", "2024-1-01T00:00:00Z", "2024-01-01T00:00:00ZZ"}) {
        INFO(bad);
        CHECK_FALSE(parse_internet_date(bad));
    }
}

namespace {

constexpr std::string_view kMultipart =
    "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSi vis pacem, para bellum.\r\n"
    "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8A\r\n--b--\r\n";

struct Fixture : fake::World {
    fake::Client client = login();
    fake::Box& box = fake::inbox(*this);
    Fixture() { store.add(box, std::string(kMultipart)); }

    std::string authorize(const std::string& rump) {
        auto lines = client.ok("GENURLAUTH \"" + rump + "\" INTERNAL");
        REQUIRE(lines.size() == 1);
        std::string line = lines[0];
        REQUIRE(line.starts_with("* GENURLAUTH \"" + rump + ":internal:"));
        line.pop_back();
        return line.substr(std::string_view("* GENURLAUTH \"").size());
    }
    std::string fetch(const std::string& argument, const std::string& url) {
        auto lines = client.ok("URLFETCH " + argument);
        REQUIRE(lines.size() == 1);
        std::string begin = "* URLFETCH " + url + " ";
        REQUIRE(lines[0].starts_with(begin));
        return lines[0].substr(begin.size());
    }
};

const std::string kRump = "imap://test@host/INBOX/;uid=1/;section=1;urlauth=user+fred";

}  // namespace

TEST_CASE_METHOD(Fixture, "a URL is authorized and fetched") {
    auto url = authorize(kRump);
    CHECK(fetch(url, url) == "{26}\r\nSi vis pacem, para bellum.");
    // Other spellings of the same; an astring of any kind.
    std::string upper = "IMAP" + url.substr(4);
    CHECK(fetch("\"" + upper + "\"", upper) == "{26}\r\nSi vis pacem, para bellum.");
    auto whole = authorize("imap://test@host/INBOX/;UID=1;URLAUTH=anonymous");
    CHECK(fetch(whole, whole) == "{" + std::to_string(kMultipart.size()) + "}\r\n" + std::string(kMultipart));
    auto part = authorize("imap://test@host/INBOX/;UID=1/;SECTION=1/;PARTIAL=3.3;URLAUTH=anonymous");
    CHECK(fetch(part, part) == "{3}\r\nvis");
    auto fields = authorize("imap://test@host/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(Subject);URLAUTH=authuser");
    fields = '"' + fields + '"';  // a percent sign is of no atom
    CHECK(fetch(fields, fields) == "{14}\r\nSubject: x\r\n\r\n");
    // Several at once, each with an answer.
    auto lines = client.ok("URLFETCH " + url + " imap://x " + part);
    REQUIRE(lines.size() == 3);
    CHECK(lines[1] == "* URLFETCH imap://x NIL");
    CHECK(lines[2].ends_with("{3}\r\nvis"));
    // No mailbox need be selected, and nothing becomes \Seen.
    CHECK((box.messages[0].row.flags & proto::kSeen) == 0);
}

TEST_CASE_METHOD(Fixture, "what a URL does not open is NIL") {
    auto url = authorize(kRump);
    auto opened = store.urls_opened;
    auto without = [&](std::string_view what, std::string_view instead) {
        std::string other = url;
        other.replace(other.find(what), what.size(), instead);
        return fetch(other, other);
    };
    CHECK(without("fred", "greg") == "NIL");
    CHECK(without("uid=1", "uid=2") == "NIL");
    CHECK(without("section=1", "section=2") == "NIL");
    CHECK(store.urls_opened == opened + 3);
    CHECK(without(":internal:", ":xsample:") == "NIL");
    CHECK(without("imap:", "http:") == "NIL");
    CHECK(store.urls_opened == opened + 3);
    CHECK(fetch(kRump, kRump) == "NIL");
    auto none = authorize("imap://test@host/INBOX/;UID=1/;SECTION=9;URLAUTH=authuser");
    CHECK(fetch(none, none) == "NIL");
    // RFC 4467 7: a NO is for failures of the server
    store.fail_changes = true;
    CHECK(client.answer("URLFETCH " + url).starts_with("NO [UNAVAILABLE]"));
}

TEST_CASE_METHOD(Fixture, "what cannot be authorized is BAD") {
    for (std::string bad :
         {"imap://other@host/INBOX/;UID=1;URLAUTH=authuser INTERNAL",
          "imap://test@host/nowhere/;UID=1;URLAUTH=authuser INTERNAL",
          "imap://test@host/INBOX;URLAUTH=authuser INTERNAL", "imap://test@host/INBOX/;UID=1 INTERNAL",
          "imap://test@host/INBOX/;UID=1;URLAUTH=authuser XSAMPLE",
          "imap://test@host/INBOX/;UID=1;URLAUTH=authuser:internal:00 INTERNAL",
          "imap://test@host/INBOX/;UID=1;URLAUTH=authuser"}) {
        INFO(bad);
        CHECK(client.answer("GENURLAUTH " + bad).starts_with("BAD "));
    }
    std::string many;
    for (int i = 0; i < 51; i++) many += " " + kRump;
    CHECK(client.answer("URLFETCH" + many) == "BAD too many URLs");
    CHECK(client.answer("URLFETCH " + std::string(kMaxUrl + 1, 'x')) == "BAD URL too long");
    CHECK(client.answer("URLFETCH").starts_with("BAD"));
    CHECK(client.answer("URLFETCH (" + kRump + " NONSENSE)").starts_with("BAD"));
}

TEST_CASE_METHOD(Fixture, "keys are reset") {
    auto url = authorize(kRump);
    store.make("box");
    CHECK(client.answer("RESETKEY \"\"") == "BAD missing mailbox name");
    CHECK(client.answer("RESETKEY box") == "OK done");  // without TLS no mechanism is told
    CHECK(fetch(url, url) != "NIL");
    CHECK(client.answer("RESETKEY INBOX INTERNAL XSAMPLE") == "OK done");
    CHECK(fetch(url, url) == "NIL");
    url = authorize(kRump);
    CHECK(fetch(url, url) != "NIL");
    CHECK(client.answer("RESETKEY") == "OK all keys removed");
    CHECK(fetch(url, url) == "NIL");
    CHECK(client.answer("RESETKEY nowhere").starts_with("NO [NONEXISTENT]"));
}

TEST_CASE_METHOD(Fixture, "the decoded form needs all of the part, its text the bytes of the URL") {
    std::string text = "Subject: x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    while (text.size() < 3 * pack::kFrameContent) text += "aGVsbG8h\r\n";
    store.add(box, text);
    pack::FrameWriter writer(1);
    std::string file;
    size_t first = 0;
    for (size_t at = 0; at < text.size(); at += pack::kFrameContent) {
        file += writer.add(std::string_view(text).substr(at, pack::kFrameContent));
        if (at == 0) first = file.size();
    }
    file += writer.finish();
    store.compressed[2] = file;
    auto url = authorize("imap://test@host/INBOX/;UID=2/;SECTION=1/;PARTIAL=0.4;URLAUTH=authuser");
    CHECK(fetch("(" + url + " BINARY)", url) == "(BINARY {4}\r\nhell)");
    store.compressed[2][first + 20] ^= 1;  // in the second frame
    CHECK(fetch("(" + url + " BODY)", url) == "(BODY {4}\r\naGVs)");
    CHECK(fetch("(" + url + " BINARY)", url) == "NIL");
}

TEST_CASE_METHOD(Fixture, "more of a URL than its text") {
    auto url = authorize("imap://test@host/INBOX/;UID=1/;SECTION=2;URLAUTH=authuser");
    CHECK(fetch("(" + url + ")", url) == "{8}\r\naGVsbG8A");
    CHECK(fetch("(" + url + " BODY)", url) == "(BODY {8}\r\naGVsbG8A)");
    CHECK(fetch("(" + url + " BINARY)", url) == std::string("(BINARY ~{6}\r\nhello\0)", 21));
    CHECK(fetch("(" + url + " BODYPARTSTRUCTURE BODY)", url) ==
          "(BODYPARTSTRUCTURE (\"image\" \"png\" NIL NIL NIL \"base64\" 8 NIL NIL NIL NIL)) (BODY {8}\r\naGVsbG8A)");
    auto header = authorize("imap://test@host/INBOX/;UID=1/;SECTION=2.MIME;URLAUTH=authuser");
    CHECK(fetch("(" + header + " BODYPARTSTRUCTURE)", header) == "NIL");
    CHECK(fetch("(" + header + " BINARY)", header).starts_with("(BINARY {"));
    std::string wrong = url + "00";
    CHECK(fetch("(" + wrong + " BODYPARTSTRUCTURE BINARY)", wrong) == "NIL");
    // RFC 5524 3.1
    for (std::string_view twice : {" BODY BINARY)", " BINARY BINARY)", " BODYPARTSTRUCTURE BODYPARTSTRUCTURE)"})
        CHECK(client.answer("URLFETCH (" + url + std::string(twice)).starts_with("BAD"));
}
