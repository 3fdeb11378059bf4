// COMPRESS=DEFLATE (RFC 4978).
#include "imapd/worker/deflate_transport.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

// A client's side of the compression.
struct Peer {
    z_stream in{}, out{};
    Peer() {
        REQUIRE(inflateInit2(&in, -15) == Z_OK);
        REQUIRE(deflateInit2(&out, Z_BEST_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    }
    ~Peer() {
        inflateEnd(&in);
        deflateEnd(&out);
    }
    std::string deflate(std::string text) {
        std::string to(text.size() + 1000, '\0');
        out.next_in = reinterpret_cast<Bytef*>(text.data());
        out.avail_in = static_cast<uInt>(text.size());
        out.next_out = reinterpret_cast<Bytef*>(to.data());
        out.avail_out = static_cast<uInt>(to.size());
        REQUIRE(::deflate(&out, Z_SYNC_FLUSH) == Z_OK);
        to.resize(to.size() - out.avail_out);
        return to;
    }
    std::string inflate(std::string text) {
        std::string to(4 << 20, '\0');
        in.next_in = reinterpret_cast<Bytef*>(text.data());
        in.avail_in = static_cast<uInt>(text.size());
        in.next_out = reinterpret_cast<Bytef*>(to.data());
        in.avail_out = static_cast<uInt>(to.size());
        int result = ::inflate(&in, Z_SYNC_FLUSH);
        CHECK((result == Z_OK || result == Z_BUF_ERROR));
        to.resize(to.size() - in.avail_out);
        return to;
    }
};

// What the session sends until `end` has come, inflated.
std::string read_until(World& world, Client& client, Peer& peer, std::string_view end) {
    std::string all;
    char buffer[65536];
    for (int i = 0; i < 20000 && all.find(end) == std::string::npos; i++) {
        world.step();
        auto n = ::recv(client.fd(), buffer, sizeof buffer, 0);
        if (n > 0) all += peer.inflate(std::string(buffer, static_cast<size_t>(n)));
    }
    return all;
}

}  // namespace

TEST_CASE("a compressed session") {
    World world;
    std::string large;
    for (int i = 0; large.size() < 1000000; i++) large += "line " + std::to_string(i) + " of a large message\r\n";
    world.store.add(*world.store.find("INBOX"), "Subject: x\r\n\r\n" + large);
    auto client = world.login();
    Peer peer;
    CHECK(client.answer("COMPRESS LZW") == "BAD unknown mechanism");
    CHECK(client.answer("COMPRESS deflate") == "OK DEFLATE active");
    client.write(peer.deflate("a SELECT INBOX\r\n"));
    CHECK(read_until(world, client, peer, "a OK").find("* 1 EXISTS\r\n") != std::string::npos);
    client.write(peer.deflate("b COMPRESS DEFLATE\r\n"));
    CHECK(read_until(world, client, peer, "\r\n") == "b NO [COMPRESSIONACTIVE] DEFLATE is active\r\n");
    client.write(peer.deflate("c FETCH 1 BODY.PEEK[TEXT]\r\nd NOOP\r\n"));
    auto all = read_until(world, client, peer, "d OK done\r\n");
    CHECK(all.find(large) != std::string::npos);
    // Byte by byte, and an IDLE in between.
    for (char c : peer.deflate("e IDLE\r\n")) client.write(std::string_view(&c, 1));
    CHECK(read_until(world, client, peer, "\r\n") == "+ idling\r\n");
    client.write(peer.deflate("DONE\r\nf LOGOUT\r\n"));
    CHECK(read_until(world, client, peer, "f OK").find("e OK idled") == 0);
}

TEST_CASE("what is no DEFLATE ends the session") {
    World world;
    auto client = world.login();
    CHECK(client.answer("COMPRESS DEFLATE") == "OK DEFLATE active");
    client.write("a NOOP\r\n\xff\xff\xff\xff\xff\xff\xff");
    CHECK(client.closed());
    world.settle();
    CHECK(world.sessions_left() == 0);
}

TEST_CASE("nothing may be pipelined behind COMPRESS") {
    World world;
    auto client = world.login();
    client.write("a COMPRESS DEFLATE\r\nb NOOP\r\n");
    CHECK(client.until("a").back() == "a BAD text behind COMPRESS");
    CHECK(client.until("b").back() == "b OK done");
}

TEST_CASE("a compressed session rests, and goes on with what the client may refer to") {
    World world;
    inbox(world, 2);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.answer("COMPRESS DEFLATE") == "OK DEFLATE active");
    Peer peer;
    world.move(0);  // before a byte of it has come
    for (int i = 0; i < 6; i++) {
        // Nearly all of it is a reference to what came before.
        client.write(peer.deflate("tag FETCH 1:2 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)\r\n"));
        auto answer = read_until(world, client, peer, "tag OK fetched\r\n");
        CHECK(answer.find("* 2 FETCH (UID 2 ") != std::string::npos);
        auto rested = (world.settle(), world.sessions[0]->rest());
        REQUIRE(rested);
        REQUIRE(rested->window);
        CHECK(unpack_window(*rested->window)->ends_with("BODYSTRUCTURE)\r\n"));
        world.move(0);
    }
    client.write(peer.deflate("i IDLE\r\n"));
    CHECK(read_until(world, client, peer, "+ idling\r\n") == "+ idling\r\n");
    world.move(0, [&] { world.store.add(*world.store.find("INBOX"), std::string(kPlain)); });
    CHECK(read_until(world, client, peer, "EXISTS\r\n") == "* 3 EXISTS\r\n");
    auto done = peer.deflate("DONE\r\n");
    SECTION("but not within a block") {
        // A part of a block becomes nothing that is read; the worker sees all the same that something came.
        uint64_t before = world.sessions[0]->compressed_received();
        client.write(done.substr(0, 1));
        world.settle();
        CHECK(world.sessions[0]->resting_since());
        CHECK(world.sessions[0]->compressed_received() == before + 1);
        client.write(done.substr(1, done.size() - 3));
        world.settle();
        CHECK_FALSE(world.sessions[0]->rest());
        client.write(done.substr(done.size() - 2));
    }
    SECTION("or with input at once") {
        client.write(done);
    }
    CHECK(read_until(world, client, peer, "i OK idled\r\n") == "i OK idled\r\n");
    // But not with a window that takes too much.
    std::string noise;
    for (uint32_t state = 1; noise.size() < 34'000;) {
        state = state * 1664525 + 1013904223;
        noise += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[state >> 26];
    }
    for (size_t at = 0; at < noise.size(); at += 1000)
        client.write(peer.deflate("n SEARCH SUBJECT " + noise.substr(at, 1000) + "\r\n"));
    client.write(peer.deflate("last NOOP\r\n"));
    read_until(world, client, peer, "last OK");
    world.settle();
    REQUIRE(world.sessions[0]);
    CHECK_FALSE(world.sessions[0]->rest());
}

TEST_CASE("a window that rest() does not make is not taken") {
    auto pack = [](const std::string& text) {
        std::string packed(compressBound(text.size()), '\0');
        uLongf size = packed.size();
        REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
                         text.size()) == Z_OK);
        packed.resize(size);
        return packed;
    };
    CHECK(unpack_window(pack("abc")) == "abc");
    CHECK(unpack_window(pack(std::string(32 * 1024, 'x')))->size() == 32 * 1024);
    CHECK_FALSE(unpack_window(pack(std::string(32 * 1024 + 1, 'x'))));
    CHECK_FALSE(unpack_window(pack(std::string(8 << 20, 'x'))));
    CHECK_FALSE(unpack_window(pack("abc") + "x"));
    CHECK_FALSE(unpack_window(""));
    CHECK_FALSE(unpack_window(std::string(kMaxPackedWindow + 1, '\0')));
}
