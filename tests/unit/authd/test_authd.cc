#include <sodium.h>

#include "authd/directory.h"
#include "authd/passwords.h"
#include "authd/scram.h"
#include "authd/throttle.h"
#include "common/text/base64.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::authd;
using proto::AddressStatus;
using namespace std::chrono_literals;

namespace {

Directory make_directory(proto::LocalMode local = proto::LocalMode::off) {
    proto::ConfigureAuthd c{};
    c.hostname = "mail.example.org";
    c.local_mode = local;
    c.postmaster_account = "alice";
    c.domains = {{"example.org", "+-", false, false}, {"strict.test", "", true, false}, {"off.test", "+", false, true}};
    c.accounts = {{"alice", ""}, {"bob", "on holiday"}};
    c.addresses = {{"alice@example.org", "alice", ""},
                   {"lists@example.org", "alice", "Lists"},
                   {"Bob@strict.test", "bob", ""},
                   {"*@strict.test", "alice", ""}};
    return Directory(std::move(c));
}

}  // namespace

TEST_CASE("where an address leads") {
    Directory d = make_directory();
    auto account = [&](std::string_view a) { return d.resolve(a).account; };
    auto status = [&](std::string_view a) { return d.resolve(a).status; };
    CHECK(account("alice@example.org") == "alice");
    CHECK(account("ALICE@EXAMPLE.ORG") == "alice");
    CHECK(account("alice+tag@example.org") == "alice");
    CHECK(account("alice-tag@example.org") == "alice");
    CHECK(d.resolve("lists@example.org").mailbox == "Lists");
    CHECK(status("nobody@example.org") == AddressStatus::unknown);
    CHECK(status("+@example.org") == AddressStatus::unknown);
    CHECK(account("Bob@strict.test") == "bob");
    CHECK(account("bob@strict.test") == "alice");  // case sensitive: the catch-all takes it
    CHECK(status("x@elsewhere.test") == AddressStatus::not_ours);
    CHECK(status("x@off.test") == AddressStatus::domain_disabled);
    CHECK(account("postmaster") == "alice");
    CHECK(account("Postmaster@example.org") == "alice");
    CHECK(account("postmaster@mail.example.org") == "alice");
    CHECK(status("not an address") == AddressStatus::unknown);
}

TEST_CASE("local mode takes every address") {
    Directory d = make_directory(proto::LocalMode::on);
    CHECK(d.resolve("nobody@example.org").account == "alice");
    CHECK(d.resolve("x@elsewhere.test").account == "alice");
}

TEST_CASE("an account sends with its own addresses only, and logs in by name") {
    Directory d = make_directory();
    CHECK(d.may_send("alice", "alice@example.org"));
    CHECK(d.may_send("alice", "alice+x@example.org"));
    CHECK(d.may_send("alice", "anything@strict.test"));
    CHECK_FALSE(d.may_send("alice", "Bob@strict.test"));
    CHECK_FALSE(d.may_send("bob", "alice@example.org"));
    CHECK_FALSE(d.may_send("alice", "x@elsewhere.test"));
    CHECK_FALSE(d.may_send("alice", ""));
    CHECK(d.account_of_login("Alice@example.org") == "alice");
    CHECK_FALSE(d.account_of_login("anything@strict.test"));  // no login by catch-all
    CHECK_FALSE(d.account_of_login("*@strict.test"));
    CHECK_FALSE(d.account_of_login("alice"));
    CHECK(d.login_of_account("alice") == "alice@example.org");
    CHECK(d.login_of_account("bob") == "Bob@strict.test");
    CHECK(d.login_of_account("nobody") == "nobody");
    CHECK(d.canonical_login("ALICE+x@Example.org") == "alice@example.org");
    CHECK(d.canonical_login("NoBody+x@Example.org") == "nobody@example.org");
    CHECK(d.login_disabled("bob") == "on holiday");
    CHECK(d.login_disabled("alice").empty());
}

TEST_CASE("failures are slowed down, and forgotten") {
    Throttle t;
    auto now = Throttle::Clock::time_point{} + 1h;
    std::chrono::milliseconds last{0};
    for (int i = 0; i < 3; i++) CHECK(t.failed("192.0.2.1", "a", now) == 0ms);
    for (int i = 0; i < 10; i++) {
        auto wait = t.failed("192.0.2.1", "a", now);
        CHECK(wait >= last);
        last = wait;
    }
    CHECK(last == 8s);
    CHECK_FALSE(t.blocked("192.0.2.1", now));
    for (int i = 0; i < 100; i++) t.failed("192.0.2.1", "", now);
    CHECK(t.blocked("192.0.2.1", now));
    CHECK_FALSE(t.blocked("192.0.2.2", now));
    // A success of one's own account does not make a network innocent.
    t.succeeded("192.0.2.1", "a");
    CHECK(t.failed("192.0.2.1", "a", now) > 0ms);
    CHECK_FALSE(t.blocked("192.0.2.1", now + 1h));
    // A person who mistyped three times is not held up after that.
    for (int i = 0; i < 3; i++) t.failed("192.0.2.9", "b", now);
    t.succeeded("192.0.2.9", "b");
    CHECK(t.failed("192.0.2.9", "b", now) == 0ms);
}

TEST_CASE("the admin at the machine itself is never shut out") {
    Throttle t;
    auto now = Throttle::Clock::time_point{} + 1h;
    std::chrono::milliseconds longest{0};
    for (int i = 0; i < 1000; i++) longest = std::max(longest, t.failed("127.0.0.1", "a", now));
    CHECK_FALSE(t.blocked("127.0.0.1", now));
    CHECK(longest == 1s);
}

TEST_CASE("an IPv6 network counts as one, and memory is bounded") {
    Throttle t;
    auto now = Throttle::Clock::time_point{} + 1h;
    for (int i = 0; i < 200; i++) t.failed(fmt::format("2001:db8::{:x}", i), "", now);
    CHECK(t.blocked("2001:db8::ffff", now));
    CHECK_FALSE(t.blocked("2001:db8:1::1", now));
    for (int i = 0; i < 30000; i++) t.failed(fmt::format("10.{}.{}.1", i / 250, i % 250), "", now);
    CHECK(t.size() <= Throttle::kMaxEntries);
}

TEST_CASE("passwords verify, and nothing of them is stored") {
    REQUIRE(sodium_init() >= 0);
    auto c = make_credentials("correct horse");
    CHECK(verify_password(c, "correct horse"));
    CHECK_FALSE(verify_password(c, "correct horsf"));
    CHECK_FALSE(verify_password(dummy_credentials(), "correct horse"));
    CHECK(c.argon2.starts_with("$argon2id$"));
    CHECK(c.argon2.find("correct") == std::string::npos);
    CHECK(make_credentials("correct horse").argon2 != c.argon2);
}

TEST_CASE("the exchange of RFC 7677 section 3") {
    REQUIRE(sodium_init() >= 0);
    proto::Credentials c;
    c.scram_sha256.salt = *text::decode_base64("W22ZaJ0SNY7soEsUEjb6gQ==");
    c.scram_sha256.iterations = 4096;
    auto keys = derive_scram_keys(proto::ScramHash::sha256, "pencil", c.scram_sha256.salt, 4096);
    c.scram_sha256.stored_key.value = keys.stored_key;
    c.scram_sha256.server_key.value = keys.server_key;
    proto::ScramStart start{};
    start.client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    auto server = ScramServer::start(start);
    REQUIRE(server);
    CHECK(server->user() == "user");
    server->set_nonce("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    CHECK(server->challenge(c) ==
          "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    std::string final_message =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    CHECK(server->finish(final_message).value_or("") == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    std::string wrong = final_message;
    wrong[wrong.size() - 5] ^= 1;
    CHECK(server->finish(wrong).error().code == ErrorCode::denied);
    CHECK_FALSE(server->finish("c=biws,r=other,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
}

TEST_CASE("the exchange of RFC 5802 section 5") {
    proto::Credentials c;
    c.scram_sha1.salt = *text::decode_base64("QSXCR+Q6sek8bf92");
    c.scram_sha1.iterations = 4096;
    auto keys = derive_scram_keys(proto::ScramHash::sha1, "pencil", c.scram_sha1.salt, 4096);
    c.scram_sha1.stored_key.value = keys.stored_key;
    c.scram_sha1.server_key.value = keys.server_key;
    proto::ScramStart start{};
    start.hash = proto::ScramHash::sha1;
    start.client_first = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
    auto server = ScramServer::start(start);
    REQUIRE(server);
    CHECK(server->fits(c));
    CHECK_FALSE(server->fits({}));
    server->set_nonce("3rfcNHYJY1ZVvWVs7j");
    CHECK(server->challenge(c) == "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    std::string final_message = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    CHECK(server->finish(final_message).value_or("") == "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    final_message[final_message.size() - 5] ^= 1;
    CHECK(server->finish(final_message).error().code == ErrorCode::denied);
}

TEST_CASE("a password has keys of its own for each hash") {
    REQUIRE(sodium_init() >= 0);
    auto c = make_credentials("correct horse");
    CHECK(c.scram_sha1.salt != c.scram_sha256.salt);
    CHECK(c.scram_sha1.stored_key.value.size() == 20);
    CHECK(c.scram_sha256.stored_key.value.size() == 32);
    auto keys = derive_scram_keys(proto::ScramHash::sha1, "correct horse", c.scram_sha1.salt, kScramIterations);
    CHECK(keys.server_key == c.scram_sha1.server_key.value);
    auto nobody = made_up_credentials("nobody@example.org", "secret");
    CHECK(nobody.scram_sha1.salt != nobody.scram_sha256.salt);
    CHECK(nobody.scram_sha1.salt.size() == 16);
    CHECK(nobody.scram_sha1.stored_key.value.size() == 20);
}

TEST_CASE("SCRAM messages that are refused") {
    proto::ScramStart s{};
    s.binding = {"tls-server-end-point", "hash"};
    for (const char* bad : {"", "n", "n,,n=user", "x,,n=user,r=abcdefghij", "n,,m=x,n=user,r=abcdefghij",
                            "n,,n=us=er,r=abcdefghij", "n,,n=user,r=short", "n,,n=,r=abcdefghij",
                            "p=tls-unique,,n=user,r=abcdefghij", "n,a=other,n=user,r=abcdefghij"}) {
        s.client_first = bad;
        INFO(bad);
        CHECK_FALSE(ScramServer::start(s));
    }
    s.client_first = "y,,n=user,r=abcdefghij";
    CHECK(ScramServer::start(s));
    s.plus_offered = true;  // somebody hid the offer from the client
    CHECK_FALSE(ScramServer::start(s));
    s.client_first = "p=tls-server-end-point,,n=u=2Cser,r=abcdefghij";
    s.plus = true;
    auto bound = ScramServer::start(s);
    REQUIRE(bound);
    CHECK(bound->user() == "u,ser");
    s.client_first = "n,,n=user,r=abcdefghij";
    CHECK_FALSE(ScramServer::start(s));
}

TEST_CASE("an unknown user sees the same salt every time") {
    auto a = made_up_credentials("nobody@example.org", "secret");
    auto b = made_up_credentials("nobody@example.org", "secret");
    CHECK(a.scram_sha256.salt == b.scram_sha256.salt);
    CHECK(a.scram_sha256.salt.size() == 16);
    CHECK(a.scram_sha256.salt != made_up_credentials("other@example.org", "secret").scram_sha256.salt);
    CHECK(a.scram_sha256.iterations == kScramIterations);
}
