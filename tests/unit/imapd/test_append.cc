#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

TEST_CASE("APPEND, however its bytes come") {
    World world;
    auto& box = *world.store.find("INBOX");
    auto client = world.login();
    client.ok("SELECT INBOX");
    const std::string message = "Subject: x\r\nContent-Type: text/plain\r\n\r\none\r\ntwo";
    const std::string size = std::to_string(message.size());
    auto validity = std::to_string(box.mailbox.uidvalidity);
    SECTION("synchronising") {
        client.write("a APPEND inbox (\\Seen word) \"05-Feb-1999 12:34:56 +0230\" {" + size + "}\r\n");
        CHECK(client.line() == "+ go ahead");
        client.write(message + "\r\n");
        auto lines = client.until("a");
        CHECK(lines.back() == "a OK [APPENDUID " + validity + " 1] appended");
        CHECK(std::ranges::find(lines, "* 1 EXISTS") != lines.end());
        CHECK(box.messages[0].row.flags == proto::kSeen);
        CHECK(box.messages[0].row.keywords == 1);
        CHECK(box.messages[0].row.received_zone == 150);
        CHECK(*box.messages[0].content == message);
    }
    SECTION("byte by byte") {
        std::string all = "a APPEND INBOX {" + size + "+}\r\n" + message + "\r\nb NOOP\r\n";
        for (char c : all) {
            client.write(std::string_view(&c, 1));
            world.step();
        }
        CHECK(client.until("a").back() == "a OK [APPENDUID " + validity + " 1] appended");
        CHECK(client.until("b").back() == "b OK done");
        CHECK(*box.messages[0].content == message);
    }
    SECTION("the mailbox as a literal too") {
        client.write("a APPEND {5+}\r\nINBOX {" + size + "+}\r\n" + message + "\r\n");
        CHECK(client.until("a").back().starts_with("a OK"));
    }
    SECTION("bare line feeds become CRLF") {
        client.write("a APPEND INBOX {13+}\r\na: b\n\nc\r\nd\n\ne\r\n");
        CHECK(client.until("a").back().starts_with("a OK"));
        CHECK(*box.messages[0].content == "a: b\r\n\r\nc\r\nd\r\n\r\ne");
    }
    SECTION("a message that is too large for memory") {
        std::string large;
        while (large.size() < 300000) large += message + "line " + std::to_string(large.size()) + "\r\n";
        client.write("a APPEND INBOX {" + std::to_string(large.size()) + "+}\r\n" + large + "\r\n");
        CHECK(client.until("a").back().starts_with("a OK"));
        CHECK(*box.messages[0].content == large);
    }
    SECTION("another mailbox") {
        world.store.make("other");
        client.write("a APPEND other {" + size + "+}\r\n" + message + "\r\n");
        CHECK(client.until("a").size() == 1);
    }
    CHECK(world.store.spools() == 0);
}

TEST_CASE("an APPEND that is refused leaves the stream in step") {
    World world;
    world.store.make("box");
    auto client = world.login();
    auto refused = [&](std::string_view text) {
        client.write(std::string(text));
        auto line = client.line();
        client.write("n NOOP\r\n");
        CHECK(client.line() == "n OK done");
        return line;
    };
    CHECK(refused("a APPEND nowhere {5}\r\n") == "a NO [TRYCREATE] no such mailbox");
    CHECK(refused("a APPEND nowhere {5+}\r\nhello\r\n") == "a NO [TRYCREATE] no such mailbox");
    CHECK(refused("a APPEND box {1099511627776}\r\n").starts_with("a NO [TOOBIG]"));
    CHECK(refused("a APPEND box {0+}\r\n\r\n") == "a NO an empty message is no message");
    CHECK(refused("a APPEND box (\\Nonsense) {5+}\r\nhello\r\n") == "a BAD unknown system flag");
    CHECK(refused("a APPEND box (\\Nonsense) {5}\r\n") == "a BAD unknown system flag");
    CHECK(refused("a APPEND box {5+}\r\nhello more\r\n") == "a BAD expected the message as a literal");
    CHECK(refused("a APPEND box \"nonsense\" {5+}\r\nhello\r\n") == "a BAD wrong date-time");
    world.store.over_quota = true;
    CHECK(refused("a APPEND box {5+}\r\nhello\r\n").starts_with("a NO [OVERQUOTA]"));
    world.store.over_quota = false;
    world.store.fail_next = true;  // the spool file of a large message
    CHECK(refused("a APPEND box {100000+}\r\n" + std::string(100000, 'x') + "\r\n").starts_with("a NO [UNAVAILABLE]"));
    world.settle();
    CHECK(world.store.spools() == 0);
    CHECK(world.store.find("box")->messages.empty());
    client.write("a APPEND box {1099511627776+}\r\n");
    CHECK(client.line() == "* BYE [TOOBIG] message too large");
    CHECK(client.closed());
}

TEST_CASE("a client that goes in the middle of a message stores nothing") {
    World world;
    auto client = world.login();
    client.write("a APPEND INBOX {1000+}\r\nonly a part");
    world.settle();
    ::shutdown(client.fd(), SHUT_RDWR);
    world.settle();
    CHECK(world.sessions_left() == 0);
    CHECK(world.store.find("INBOX")->messages.empty());
    CHECK(world.store.spools() == 0);
}
