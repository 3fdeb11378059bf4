// UNAUTHENTICATE (RFC 8437): the worker's half, and the front's.
#include <zlib.h>

#include "tests/unit/imapd/front_world.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

// What the session said on its way back, when it is gone.
std::string all_of(World& world, const Fd& fd) {
    std::string out;
    for (int i = 0; i < 2000; i++) {
        char buffer[4096];
        auto n = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (n == 0) return out;
        if (n > 0) out.append(buffer, static_cast<size_t>(n));
        world.step();
        std::this_thread::sleep_for(100us);
    }
    FAIL("it does not end");
    return out;
}

std::string deflate_of(std::string_view text, int flush) {
    z_stream z{};
    deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    std::string out(1000, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, flush);
    out.resize(out.size() - z.avail_out);
    deflateEnd(&z);
    return out;
}

}  // namespace

TEST_CASE("a session gives back what it did not use") {
    World world;
    world.reuse = true;
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("ENABLE CONDSTORE");
    client.write("u UNAUTHENTICATE\r\na LOGIN alice secret\r\nb SEL");
    CHECK(client.until("u").back() == "u OK log in again");
    CHECK(client.closed());
    client.write("ECT INBOX\r\n");  // what is sent until the front closes
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(all_of(world, world.handed_back) == "Ua LOGIN alice secret\r\nb SELECT INBOX\r\n.");
    CHECK(world.sessions_left() == 0);
}

TEST_CASE("a session that has rested can be given back, and one that tells unasked does not rest") {
    World world;
    world.reuse = true;
    auto client = world.login();
    client.ok("SELECT INBOX");
    world.move(0);
    client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))");
    world.settle();
    CHECK_FALSE(world.sessions[0]->rest());
    client.write("u UNAUTHENTICATE\r\na NOOP\r\n");
    CHECK(client.until("u").back() == "u OK log in again");
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(all_of(world, world.handed_back) == "Ua NOOP\r\n.");
    auto other = world.login();
    other.ok("SELECT INBOX");
    other.write("s SEARCH RETURN (UPDATE COUNT) FLAGGED\r\n");
    other.until("s");
    world.settle();
    CHECK_FALSE(world.sessions[1]->rest());
    other.ok("CANCELUPDATE \"s\"");
    world.settle();
    CHECK(world.sessions[1]->rest());
}

TEST_CASE("a session that has nothing to give back") {
    World world;
    world.reuse = true;
    auto client = world.login();
    client.write("u UNAUTHENTICATE\r\n");
    client.until("u");
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(all_of(world, world.handed_back) == "U.");
    // ends otherwise: nothing is said
    auto other = world.login();
    other.ok("LOGOUT");
    CHECK(all_of(world, world.handed_back).empty());
    // does not get what it needs: without the full stop
    auto third = world.login();
    third.write("u UNAUTHENTICATE\r\nx NOOP");
    third.until("u");
    world.store.cut();
    CHECK(all_of(world, world.handed_back) == "U");
}

TEST_CASE("UNAUTHENTICATE where it is not offered") {
    World world;
    auto client = world.login();
    CHECK(client.ok("CAPABILITY").front().find("UNAUTHENTICATE") == std::string::npos);
    CHECK(client.answer("UNAUTHENTICATE").starts_with("BAD"));
    CHECK(client.answer("UNAUTHENTICATE x").starts_with("BAD"));
    client.ok("NOOP");
}

TEST_CASE("compression ends with the session") {
    for (int flush : {Z_SYNC_FLUSH, Z_FINISH}) {
        World world;
        world.reuse = true;
        auto client = world.login();
        client.ok("COMPRESS DEFLATE");
        std::string rest = flush == Z_FINISH ? "a LOGIN x y\r\n" : "";
        client.write(deflate_of("u UNAUTHENTICATE\r\n", flush) + rest);
        CHECK(client.closed());  // its answer is compressed
        client.write("b NOOP\r\n");
        ::shutdown(client.fd(), SHUT_WR);
        CHECK(all_of(world, world.handed_back) == "U" + rest + "b NOOP\r\n.");
    }
    // compressed bytes and what is behind them cannot be told apart: BYE (RFC 8437 3)
    World world;
    world.reuse = true;
    auto client = world.login();
    client.ok("COMPRESS DEFLATE");
    client.write(deflate_of("u UNAUTHENTICATE\r\na NOOP\r\n", Z_SYNC_FLUSH));
    CHECK(client.closed());
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(all_of(world, world.handed_back).empty());
}

TEST_CASE("the front has its client back") {
    FrontWorld world;
    world.reuse = true;
    auto client = world.connect();
    CHECK(world.greeting.find(" UNAUTHENTICATE") != std::string::npos);
    CHECK(client.answer("UNAUTHENTICATE").starts_with("BAD"));
    for (int round = 0; round < 3; round++) {
        client.write("a LOGIN alice secret\r\nb NOOP\r\n");
        for (int i = 0; i < 200 && !world.services.started; i++) world.step();
        REQUIRE(world.services.started);
        auto start = std::move(*world.services.started);
        world.services.started.reset();
        CHECK(start.pending_input == "b NOOP\r\n");
        // as a worker does
        client.write("u UNAUTHENTICATE\r\nc ID NIL\r\n");
        world.settle();
        std::string_view answers = "a OK\r\nb OK\r\nu OK\r\n";
        REQUIRE(::send(start.hand_back.get(), "U", 1, 0) == 1);
        REQUIRE(::send(start.stream.get(), answers.data(), answers.size(), 0) == ssize_t(answers.size()));
        ::shutdown(start.stream.get(), SHUT_WR);
        CHECK(client.until("u") == Lines{"a OK", "b OK", "u OK"});
        CHECK(all_of(world, start.stream) == "u UNAUTHENTICATE\r\nc ID NIL\r\n");
        std::string rest = "c ID NIL\r\n.";
        REQUIRE(::send(start.hand_back.get(), rest.data(), rest.size(), 0) == ssize_t(rest.size()));
        start.hand_back = {};
        CHECK(client.until("c").back() == "c OK done");
        CHECK(client.answer("SELECT INBOX").starts_with("NO"));
        CHECK(world.front_counters.relaying == 0);
    }
    CHECK(client.answer("LOGOUT").starts_with("OK"));
}

TEST_CASE("a worker that dies over giving a client back") {
    for (std::string said : {"", "U", "Ux", "X."}) {
        FrontWorld world;
        world.reuse = true;
        auto client = world.connect();
        client.write("a LOGIN alice secret\r\n");
        for (int i = 0; i < 200 && !world.services.started; i++) world.step();
        REQUIRE(world.services.started);
        auto start = std::move(*world.services.started);
        if (!said.empty()) REQUIRE(::send(start.hand_back.get(), said.data(), said.size(), 0) > 0);
        start.stream = {};
        start.hand_back = {};
        CHECK(client.closed());
    }
}

TEST_CASE("more behind a login than a session takes along") {
    FrontWorld world;
    auto client = world.connect();
    std::string much(40000, 'x');
    client.write("a LOGIN alice secret\r\n" + much);
    std::string got;
    for (int i = 0; i < 2000 && got.size() < much.size(); i++) {
        world.step();
        if (!world.services.started) continue;
        if (got.empty()) got = world.services.started->pending_input;
        char buffer[8192];
        auto n = ::recv(world.services.started->stream.get(), buffer, sizeof buffer, 0);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
    }
    CHECK(got == much);
    CHECK(world.services.started->pending_input.size() <= 16384);
}
