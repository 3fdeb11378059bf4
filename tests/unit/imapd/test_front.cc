#include "common/text/base64.h"
#include "tests/unit/imapd/front_world.h"

using namespace mox;
using namespace mox::imapd;
using imapd::fake::FrontWorld;
using namespace std::chrono_literals;

TEST_CASE("before the login") {
    FrontWorld world;
    auto client = world.connect();
    CHECK(world.greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "));
    CHECK(world.greeting.find(" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN]") != std::string::npos);
    CHECK(world.greeting.find("STARTTLS") == std::string::npos);
    CHECK(client.answer("NOOP") == "OK done");
    for (std::string_view text : {"SELECT INBOX", "FETCH 1 FLAGS", "LIST \"\" *", "IDLE", "UID EXPUNGE 1"})
        CHECK(client.answer(text) == "NO log in first");
    CHECK(client.answer("STARTTLS") == "BAD no TLS here");
    CHECK(client.answer("NONSENSE") == "BAD unknown command");
    CHECK(client.command("ID NIL").front().starts_with("* ID ("));
    CHECK(client.answer("AUTHENTICATE NONSENSE").starts_with("NO "));
    CHECK(client.answer("AUTHENTICATE SCRAM-SHA-256-PLUS").starts_with("NO "));
    CHECK(client.answer("AUTHENTICATE EXTERNAL =").starts_with("NO [CANNOT]"));  // without a client certificate
    CHECK(client.command("LOGOUT") == fake::Lines{"* BYE see you", "OK logged out"});
    CHECK(client.closed());
}

TEST_CASE("passwords need TLS") {
    FrontWorld world;
    auto client = world.connect(proto::InsecureAuth::refuse);
    CHECK(world.greeting.find(" LOGINDISABLED]") != std::string::npos);
    CHECK(world.greeting.find(" AUTH=") == std::string::npos);
    CHECK(client.answer("LOGIN alice secret").starts_with("NO [PRIVACYREQUIRED]"));
    CHECK(client.answer("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==").starts_with("NO [PRIVACYREQUIRED]"));
    CHECK(world.services.logins == 0);
}

TEST_CASE("who speaks something else first is sent away") {
    for (std::string_view first : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "EHLO x\r\n", "\x16\x03\x01\x02\r\n", "\r\n"}) {
        FrontWorld world;
        auto client = world.connect();
        client.write(first);
        CHECK(client.line() == "* BYE this is an IMAP server");
        CHECK(client.closed());
    }
}

TEST_CASE("a login hands the client over with what it sent behind") {
    FrontWorld world;
    auto client = world.connect();
    std::string login = "x LOGIN alice secret\r\n";
    SECTION("as atoms") {}
    SECTION("as literals") {
        login = "x LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n";
    }
    SECTION("by PLAIN") {
        login = "x AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n";
    }
    client.write(login + "y NOOP\r\n");
    for (int i = 0; i < 100 && !world.services.started; i++) world.settle();
    REQUIRE(world.services.started);
    auto& start = *world.services.started;
    CHECK(start.account == "alice");
    CHECK(start.tag == "x");
    CHECK(start.pending_input == "y NOOP\r\n");
    CHECK(start.max_message_size == 1000);
    fake::Client worker(world, std::move(start.stream));
    worker.write("x OK logged in\r\n");
    CHECK(client.line() == "x OK logged in");
    client.write("z NOOP\r\n");
    CHECK(worker.line() == "z NOOP");
    CHECK(world.front_counters.relaying == 1);
    worker.write("* BYE bye\r\n");
    ::shutdown(worker.fd(), SHUT_RDWR);
    CHECK(client.line() == "* BYE bye");
    CHECK(client.closed());
    ::shutdown(client.fd(), SHUT_RDWR);
    for (int i = 0; i < 100 && world.running > 0; i++) world.settle();
    CHECK(world.running == 0);
    CHECK(world.front_counters.logins["ok"] == 1);
}

TEST_CASE("a client that leaves is told to the worker") {
    FrontWorld world;
    auto client = world.connect();
    client.write("x LOGIN alice secret\r\n");
    for (int i = 0; i < 100 && !world.services.started; i++) world.settle();
    REQUIRE(world.services.started);
    fake::Client worker(world, std::move(world.services.started->stream));
    ::shutdown(client.fd(), SHUT_RDWR);
    CHECK(worker.closed());
}

TEST_CASE("AUTHENTICATE step by step") {
    FrontWorld world;
    auto client = world.connect();
    client.write("a AUTHENTICATE PLAIN\r\n");
    CHECK(client.line() == "+ ");
    client.write("*\r\n");
    CHECK(client.line() == "a BAD cancelled");
    CHECK(client.answer("AUTHENTICATE PLAIN !!!!") == "BAD wrong base64");
    CHECK(client.answer("AUTHENTICATE PLAIN QUJD").starts_with("BAD wrong message"));
    CHECK(client.answer("AUTHENTICATE PLAIN " + text::encode_base64(std::string("bob\0alice\0secret", 16)))
              .starts_with("NO [AUTHORIZATIONFAILED]"));
    client.write("s AUTHENTICATE SCRAM-SHA-256\r\n");
    CHECK(client.line() == "+ ");
    client.write(text::encode_base64("first") + "\r\n");
    CHECK(client.line() == "+ " + text::encode_base64("challenge"));
    client.write(text::encode_base64("wrong") + "\r\n");
    CHECK(client.line().starts_with("s NO [AUTHENTICATIONFAILED]"));
    CHECK(client.answer("AUTHENTICATE SCRAM-SHA-256 " + text::encode_base64("x")).starts_with("BAD"));
    client.write("s AUTHENTICATE SCRAM-SHA-256 " + text::encode_base64("first") + "\r\n");
    CHECK(client.line() == "+ " + text::encode_base64("challenge"));
    client.write(text::encode_base64("final") + "\r\n");
    CHECK(client.line() == "+ " + text::encode_base64("v=sig"));
    CHECK_FALSE(world.services.started);
    client.write("\r\n");
    for (int i = 0; i < 100 && !world.services.started; i++) world.settle();
    CHECK(world.services.started);
}

TEST_CASE("failed logins") {
    FrontWorld world;
    auto client = world.connect();
    CHECK(client.answer("LOGIN alice wrong") == "NO [AUTHENTICATIONFAILED] wrong user or password");
    CHECK(client.answer("LOGIN nobody secret") == "NO [AUTHENTICATIONFAILED] wrong user or password");
    world.services.busy = true;
    CHECK(client.answer("LOGIN alice secret").starts_with("NO [UNAVAILABLE]"));
    world.services.busy = false;
    for (int i = 4; i < 10; i++) CHECK(client.answer("LOGIN alice wrong").starts_with("NO [AUTHENTICATIONFAILED]"));
    CHECK(client.answer("LOGIN alice wrong").starts_with("NO [AUTHENTICATIONFAILED]"));
    CHECK(client.line() == "* BYE too many failed logins");
    CHECK(client.closed());
}

TEST_CASE("a worker that cannot be had") {
    FrontWorld world;
    world.services.no_worker = true;
    auto client = world.connect();
    client.write("a LOGIN alice secret\r\nb NOOP\r\n");
    CHECK(client.line().starts_with("a NO [UNAVAILABLE]"));
    CHECK(client.line() == "b OK done");
    world.services.no_worker = false;
    client.write("c LOGIN alice secret\r\n");
    for (int i = 0; i < 100 && !world.services.started; i++) world.settle();
    CHECK(world.services.started);
}

TEST_CASE("limits before the login") {
    FrontWorld world;
    SECTION("lines") {
        auto client = world.connect();
        client.write(std::string(20000, 'x'));
        CHECK(client.line() == "* BYE [TOOBIG] command line too long");
        CHECK(client.closed());
    }
    SECTION("literals") {
        auto client = world.connect();
        client.write("a LOGIN {1025}\r\n");
        CHECK(client.line() == "a BAD [TOOBIG] literal too large");
        client.write("a LOGIN {1025+}\r\n");
        CHECK(client.line() == "* BYE [TOOBIG] literal too large");
    }
    SECTION("time") {
        auto client = world.connect(proto::InsecureAuth::allow, {.idle = 20ms});
        CHECK(client.line() == "* BYE autologout; idle for too long");
    }
    SECTION("bad commands") {
        auto client = world.connect();
        client.ok("NOOP");
        for (int i = 0; i < 9; i++) CHECK(client.answer("NONSENSE") == "BAD unknown command");
        client.write("x NONSENSE\r\n");
        CHECK(client.until("x").size() >= 1);
        CHECK(client.line() == "* BYE too many bad commands");
    }
}
