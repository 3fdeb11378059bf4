#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

const std::string kPrefix = "Return-Path: <a@b>\r\nReceived: from x\r\n";
const std::string kHeader =
    "From: Joe <joe@one.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nX-N: 1\r\nX-N: 2\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"out\"\r\n\r\n";
const std::string kInner =
    "Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    "--in\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n--in\r\nContent-Type: "
    "text/html\r\n\r\n<p>x</p>\r\n--in--\r\n";
const std::string kText = "preamble\r\n--out\r\n\r\nfirst part\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n" +
                          kInner + "\r\n--out--\r\nepilogue\r\n";
const std::string kNested = kHeader + kText;

std::string literal(std::string_view s) {
    return "{" + std::to_string(s.size()) + "}\r\n" + std::string(s);
}

}  // namespace

TEST_CASE("a message that is larger than what comes in the answer, and a header that is") {
    World world;
    std::string header;
    for (int i = 0; i < 500; i++) header += "X-" + std::to_string(i) + ": " + std::string(30, 'h') + "\r\n";
    header += "Subject: last\r\n\r\n";
    std::string text;
    for (int i = 0; text.size() < 2 * proto::kMaxMessageStart; i++) text += std::to_string(i) + "\r\n";
    world.store.add(*world.store.find("INBOX"), header + text, proto::kSeen, kPrefix);
    auto client = world.login();
    client.ok("SELECT INBOX");
    auto value_of = [&](const std::string& item) {
        auto lines = client.ok("FETCH 1 " + item);
        REQUIRE(lines.size() == 1);
        return lines[0].substr(lines[0].find("}\r\n") + 3, lines[0].size() - lines[0].find("}\r\n") - 4);
    };
    CHECK(value_of("BODY.PEEK[HEADER.FIELDS (Subject)]") == "Subject: last\r\n\r\n");
    CHECK(value_of("BODY.PEEK[HEADER]") == kPrefix + header);
    CHECK(value_of("BODY.PEEK[]") == kPrefix + header + text);
    CHECK(value_of("BODY.PEEK[TEXT]") == text);
    size_t edge = proto::kMaxMessageStart - 5;
    CHECK(value_of("BODY.PEEK[]<" + std::to_string(edge) + ".100>") == (kPrefix + header + text).substr(edge, 100));
}

TEST_CASE("sections of a message with a prefix") {
    World world;
    world.store.add(*world.store.find("INBOX"), kNested, proto::kSeen, kPrefix);
    auto client = world.login();
    client.ok("SELECT INBOX");
    struct Row {
        std::string item, label, value;
    };
    const std::string whole = kPrefix + kNested;
    const std::string inner_header = kInner.substr(0, kInner.find("\r\n\r\n") + 4);
    for (const auto& row :
         std::vector<Row>{{"BODY.PEEK[]", "BODY[]", whole},
                          {"BODY[HEADER]", "BODY[HEADER]", kPrefix + kHeader},
                          {"BODY[TEXT]", "BODY[TEXT]", kText},
                          {"BODY[1]", "BODY[1]", "first part"},
                          {"BODY[1.MIME]", "BODY[1.MIME]", "\r\n"},
                          {"BODY[2]", "BODY[2]", kInner},
                          {"BODY[2.MIME]", "BODY[2.MIME]", "Content-Type: message/rfc822\r\n\r\n"},
                          {"BODY[2.HEADER]", "BODY[2.HEADER]", inner_header},
                          {"BODY[2.TEXT]", "BODY[2.TEXT]", kInner.substr(inner_header.size())},
                          {"BODY[2.1]", "BODY[2.1]", "inner plain"},
                          {"BODY[2.2]", "BODY[2.2]", "<p>x</p>"},
                          {"BODY[HEADER.FIELDS (x-n RETURN-PATH)]", "BODY[HEADER.FIELDS (x-n RETURN-PATH)]",
                           "Return-Path: <a@b>\r\nX-N: 1\r\nX-N: 2\r\n\r\n"},
                          {"BODY[HEADER.FIELDS (None)]", "BODY[HEADER.FIELDS (None)]", "\r\n"},
                          {"BODY[2.HEADER.FIELDS.NOT (Content-Type)]", "BODY[2.HEADER.FIELDS.NOT (Content-Type)]",
                           "Subject: inner\r\n\r\n"},
                          {"BODY[]<0.7>", "BODY[]<0>", whole.substr(0, 7)},
                          {"BODY[]<30.20>", "BODY[]<30>", whole.substr(30, 20)},
                          {"BODY[]<5.999999999>", "BODY[]<5>", whole.substr(5)},
                          {"BODY[]<999999.5>", "BODY[]<999999>", ""},
                          {"BODY[2.1]<2.3>", "BODY[2.1]<2>", "ner"},
                          {"BODY[HEADER.FIELDS (X-N)]<2.4>", "BODY[HEADER.FIELDS (X-N)]<2>", "N: 1"},
                          {"RFC822", "RFC822", whole},
                          {"RFC822.HEADER", "RFC822.HEADER", kPrefix + kHeader},
                          {"RFC822.TEXT", "RFC822.TEXT", kText}}) {
        INFO(row.item);
        CHECK(client.ok("FETCH 1 (" + row.item + ")") ==
              Lines{"* 1 FETCH (" + row.label + ' ' + literal(row.value) + ")"});
    }
    CHECK(client.ok("FETCH 1 (BODY[3] BODY[1.1] BODY[1.HEADER])") ==
          Lines{"* 1 FETCH (BODY[3] NIL BODY[1.1] NIL BODY[1.HEADER] NIL)"});
    CHECK(client.ok("FETCH 1 RFC822.SIZE") == Lines{"* 1 FETCH (RFC822.SIZE " + std::to_string(whole.size()) + ")"});
}

TEST_CASE("the header of a message without parts has the prefix in front, its text has not") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, "Subject: s\r\n\r\nhello", proto::kSeen, kPrefix);
    world.store.add(box, "no header, no line end", proto::kSeen, kPrefix);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1 (BODY[1] BODY[1.MIME])") ==
          Lines{"* 1 FETCH (BODY[1] {5}\r\nhello BODY[1.MIME] " + literal(kPrefix + "Subject: s\r\n\r\n") + ")"});
    CHECK(client.ok("FETCH 2 (BODY[])") ==
          Lines{"* 2 FETCH (BODY[] " + literal(kPrefix + "no header, no line end") + ")"});
}

TEST_CASE("envelope and structure come from the parse") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, kNested, 0, kPrefix, {915181200, 60});
    auto client = world.login();
    client.ok("SELECT INBOX");
    auto full = client.ok("FETCH 1 FULL").front();
    CHECK(full.find("INTERNALDATE \" 1-Jan-1999 10:00:00 +0100\"") != std::string::npos);
    CHECK(full.find("ENVELOPE (NIL \"=?utf-8?q?caf=C3=A9?=\" ((\"Joe\" NIL \"joe\" \"one.example\")) ((\"Joe\" ") !=
          std::string::npos);
    CHECK(full.find(
              " BODY ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0)(\"message\" \"rfc822\" ") !=
          std::string::npos);
    CHECK(full.find("FLAGS ()") != std::string::npos);
    CHECK(client.ok("FETCH 1 ALL").front().find(" BODY ") == std::string::npos);
    CHECK(client.ok("FETCH 1 (BODYSTRUCTURE)").front().find("(\"boundary\" \"out\")") != std::string::npos);
    box.messages[0].info = "damaged";
    auto opaque = client.ok("FETCH 1 (BODY BODY.PEEK[])").front();
    CHECK(opaque.find("BODY (\"text\" \"plain\" ") != std::string::npos);
    CHECK(opaque.find(literal(kPrefix + kNested)) != std::string::npos);
}

TEST_CASE("header fields that clients list come from the parse, without the file") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, kNested, 0, kPrefix);
    world.store.add(box, "To: " + std::string(mail::kMaxListed, 'x') + "\r\nSubject: long\r\n\r\ntext", 0, kPrefix);
    world.store.add(box, "Subject: old\r\nFrom: b@c\r\n\r\ntext", 0, kPrefix);
    auto& info = box.messages[2].info;
    auto old = *ipc::decode<mail::MessageInfo>(info);
    old.listed_fields.reset();
    info = ipc::encode(old);
    info.pop_back();
    auto client = world.login();
    client.ok("SELECT INBOX");
    auto answer = [](int number, const std::string& item, const std::string& value) {
        return "* " + std::to_string(number) + " FETCH (" + item + " " + literal(value) + ")";
    };
    std::string fields = "BODY[HEADER.FIELDS (RETURN-PATH X-Label SUBJECT)]";
    const std::string path = "Return-Path: <a@b>\r\n";
    CHECK(client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (RETURN-PATH X-Label SUBJECT)]") ==
          Lines{answer(1, fields, path + "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n")});
    CHECK(client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (From)]<2.5>") ==
          Lines{answer(1, "BODY[HEADER.FIELDS (From)]<2>", "om: J")});
    auto both = client.ok("FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (To)] UID)");
    CHECK(both.at(0).starts_with("* 1 FETCH (UID 1 ENVELOPE ("));
    CHECK(both.at(0).ends_with(" BODY[HEADER.FIELDS (To)] {2}\r\n\r\n)"));
    CHECK(world.store.files_opened == 0);
    CHECK(client.ok("FETCH 1:3 BODY.PEEK[HEADER.FIELDS (SUBJECT)]") ==
          Lines{answer(1, "BODY[HEADER.FIELDS (SUBJECT)]", "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"),
                answer(2, "BODY[HEADER.FIELDS (SUBJECT)]", "Subject: long\r\n\r\n"),
                answer(3, "BODY[HEADER.FIELDS (SUBJECT)]", "Subject: old\r\n\r\n")});
    CHECK(world.store.files_opened == 2);
    CHECK(
        client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (X-N FROM)]") ==
        Lines{answer(1, "BODY[HEADER.FIELDS (X-N FROM)]", "From: Joe <joe@one.example>\r\nX-N: 1\r\nX-N: 2\r\n\r\n")});
    CHECK(world.store.files_opened == 3);
    auto seen = client.ok("FETCH 1 BODY[HEADER.FIELDS (DATE)]");
    CHECK(seen.at(0).starts_with("* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (DATE)] {2}"));
    world.store.remove(box, 1);
    CHECK(client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (DATE)]").back().starts_with("NO [EXPUNGEISSUED]"));
}

TEST_CASE("\\Seen is set once for all, told in the answer, and not by PEEK or EXAMINE") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 40; i++) world.store.add(box, "a: b\r\n\r\nx", i == 1 ? proto::kSeen : 0);
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("FETCH 1:* (BODY.PEEK[] RFC822.HEADER ENVELOPE)");
    CHECK(world.store.stores == 0);
    auto lines = client.ok("FETCH 1:* (BODY[TEXT])");
    REQUIRE(lines.size() == 40);
    CHECK(lines[0] == "* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {1}\r\nx)");
    CHECK(lines[1] == "* 2 FETCH (BODY[TEXT] {1}\r\nx)");
    CHECK(world.store.stores == 1);
    CHECK(client.ok("FETCH 1 (BODY[TEXT])") == Lines{"* 1 FETCH (BODY[TEXT] {1}\r\nx)"});
    CHECK(world.store.stores == 1);
    world.store.add(box, "a: b\r\n\r\nx");
    client.ok("EXAMINE INBOX");
    CHECK(client.ok("FETCH 41 (BODY[TEXT])") == Lines{"* 41 FETCH (BODY[TEXT] {1}\r\nx)"});
    CHECK(world.store.stores == 1);
}

TEST_CASE("answers in parts from the store are put together") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 50; i++) world.store.add(box, "a: b\r\n\r\nx");
    world.store.most_infos = 7;
    auto client = world.login();
    client.ok("SELECT INBOX");
    world.store.quiet = true;
    for (uint32_t uid : {1u, 2u, 8u, 9u, 50u}) world.store.remove(box, uid);
    auto lines = client.command("FETCH 1:* (UID ENVELOPE)");
    CHECK(lines.size() == 46);
    CHECK(lines.front().starts_with("* 3 FETCH (UID 3 "));
    CHECK(lines.back().starts_with("NO [EXPUNGEISSUED]"));
    lines = client.command("UID FETCH 1:* (BODY.PEEK[])");
    CHECK(std::ranges::count_if(lines, [](const auto& l) { return l.find(" FETCH (UID ") != std::string::npos; }) ==
          45);
}

TEST_CASE("messages that are damaged on disk do not keep the others from being fetched, and are named") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 150; i++) world.store.add(box, "a: b\r\n\r\nx");
    auto client = world.login();
    client.ok("SELECT INBOX");
    world.store.damaged = {1, 64, 150};
    auto lines = client.command("FETCH 1:* (BODY.PEEK[])");
    CHECK(lines.size() == 148);
    CHECK(lines.back() == "NO [CORRUPTION] damaged on disk, cannot be read: UID 1, 64, 150");
    CHECK(client.command("FETCH 150 (BODY.PEEK[])") ==
          Lines{"NO [CORRUPTION] damaged on disk, cannot be read: UID 150"});
    CHECK(client.ok("FETCH 150 (FLAGS ENVELOPE)").size() == 1);
    world.store.quiet = true;
    world.store.remove(box, 2);
    CHECK(client.command("FETCH 1:2 (BODY.PEEK[])").back().starts_with("NO [CORRUPTION]"));
    world.store.has_index = false;
    auto found = client.ok("SEARCH TEXT x");
    CHECK(found.front() == "* NO [CORRUPTION] damaged on disk, cannot be read: UID 1, 64, 150");
    CHECK(found.at(1).find(" 150") == std::string::npos);
    CHECK(client.command("APPEND INBOX CATENATE (URL \"/INBOX/;UID=150\")").back().find("BADURL") != std::string::npos);
    for (uint32_t uid = 1; uid <= 150; uid++) world.store.damaged.insert(uid);
    CHECK(client.command("FETCH 1:* (BODY.PEEK[])") ==
          Lines{"NO [CORRUPTION] damaged on disk, cannot be read: UID 1, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 139 more"});
}

TEST_CASE("flags of a large mailbox come quickly") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.quiet = true;
    for (int i = 0; i < 20000; i++) {
        Message message;
        message.row.uid = box.mailbox.uidnext++;
        message.row.flags = proto::kSeen | proto::kAnswered;
        box.messages.push_back(std::move(message));
    }
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1:* (UID FLAGS)").size() == 20000);
    CHECK(client.ok("UID FETCH 19999:* (FLAGS)") == Lines{"* 19999 FETCH (UID 19999 FLAGS (\\Answered \\Seen))",
                                                          "* 20000 FETCH (UID 20000 FLAGS (\\Answered \\Seen))"});
}
