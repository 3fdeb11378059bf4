#include <fcntl.h>
#include <optional>
#include <sys/mman.h>

#include "common/ipc/channel.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::ipc;
using namespace std::chrono_literals;

namespace {

enum class Color : uint8_t { red, green, kEnd };
struct Inner {
    uint16_t number;
    std::optional<std::string> text;
};
struct Everything {
    bool flag;
    uint64_t big;
    int32_t negative;
    Color color;
    std::string text;
    std::vector<Inner> items;
    std::optional<Inner> maybe;
    std::chrono::seconds span;
    Secret secret;
};

struct EchoReply {
    std::string text;
};
struct Echo {
    MOX_MESSAGE(Echo, 0x7001, EchoReply, from(Role::smtpd))
    std::string text;
};
struct Never {
    MOX_MESSAGE(Never, 0x7002, Done, from(Role::smtpd))
};
struct GiveFileReply {
    Fd file;
    uint32_t size;
};
struct GiveFile {
    MOX_MESSAGE(GiveFile, 0x7003, GiveFileReply, from(Role::smtpd))
    Fd from;
};
struct Forbidden {
    MOX_MESSAGE(Forbidden, 0x7004, Done, from(Role::authd))
};
struct Note {
    MOX_MESSAGE(Note, 0x7005, NoReply, from(Role::smtpd))
    uint32_t number;
};
struct Hold {
    MOX_MESSAGE(Hold, 0x7006, Done, from(Role::smtpd))
    std::string text;
};
using TestMessages = Messages<Echo, Never, GiveFile, Forbidden, Note, Hold>;

struct Server {
    uint32_t notes = 0;
    async::Task<Result<EchoReply>> on(Echo m) {
        if (m.text == "fail") co_return permanent(ErrorCode::not_found, "no echo here");
        co_await async::Yield();
        co_return EchoReply{m.text};
    }
    async::Task<Result<Done>> on(Never) {
        co_await async::sleep_for(1h);
        co_return Done{};
    }
    Result<GiveFileReply> on(GiveFile m) { return GiveFileReply{std::move(m.from), 5}; }
    Result<Done> on(Forbidden) { return Done{}; }
    void on(Note m) { notes += m.number; }
    size_t held_bytes = 0, most_held = 0;
    async::Notify release;
    bool released = false;
    async::Task<Result<Done>> on(Hold m) {
        held_bytes += m.text.size();
        most_held = std::max(most_held, held_bytes);
        while (!released) co_await release.wait();
        held_bytes -= m.text.size();
        co_return Done{};
    }
};

struct Pair {
    async::Loop loop;
    Server server;
    std::optional<Channel> client_end, server_end;
    explicit Pair(Role client_role = Role::smtpd) {
        auto [a, b] = make_socket_pair();
        client_end.emplace(std::move(a), PeerId{Role::storaged, "server"});
        server_end.emplace(std::move(b), PeerId{client_role, "client"});
        server_end->serve(TestMessages{}, server);
        client_end->start();
        server_end->start();
    }
    /// Runs the loop until the task is done; rethrows its exception.
    template <class T>
    T wait(async::Task<T> task) {
        std::optional<T> value;
        async::Scope scope;
        scope.spawn(store(task, value, loop));
        if (!value) loop.run();
        return std::move(*value);
    }
    template <class T>
    static async::Task<void> store(async::Task<T>& task, std::optional<T>& value, async::Loop& loop) {
        value.emplace(co_await task);
        loop.stop();
    }
};

}  // namespace

TEST_CASE("a struct comes back from its encoding") {
    Everything e{true, 1ull << 60, -5, Color::green, "text", {{1, "a"}, {2, {}}}, Inner{3, "b"}, 90s, {"hidden"}};
    auto back = decode<Everything>(encode(e));
    REQUIRE(back);
    CHECK(back->flag);
    CHECK(back->big == 1ull << 60);
    CHECK(back->negative == -5);
    CHECK(back->color == Color::green);
    CHECK(back->text == "text");
    REQUIRE(back->items.size() == 2);
    CHECK(back->items[0].text == "a");
    CHECK_FALSE(back->items[1].text);
    CHECK(back->maybe->number == 3);
    CHECK(back->span == 90s);
    CHECK(back->secret.value == "hidden");
    std::string debug;
    append_debug(debug, e);
    CHECK(debug.find("hidden") == std::string::npos);
}

TEST_CASE("every truncation and every extension of an encoding is refused") {
    Everything e{true, 7, 1, Color::red, "text", {{1, "a"}}, Inner{3, "b"}, 90s, {"x"}};
    std::string bytes = encode(e);
    for (size_t n = 0; n < bytes.size(); n++) CHECK_FALSE(decode<Everything>(bytes.substr(0, n)));
    CHECK_FALSE(decode<Everything>(bytes + '\0'));
}

TEST_CASE("values out of range are refused") {
    CHECK_FALSE(decode<bool>("\x02"));
    CHECK_FALSE(decode<Color>("\x02"));
    CHECK(decode<Color>("\x01") == Color::green);
    // A count beyond the bytes that are there must not take memory.
    CHECK_FALSE(decode<std::vector<Inner>>(std::string_view("\xff\xff\xff\xff", 4)));
    CHECK_FALSE(decode<std::string>(std::string_view("\xff\xff\xff\x7fxx", 6)));
}

TEST_CASE("calls return replies and errors") {
    Pair p;
    auto ok = p.wait(p.client_end->call(Echo{"hello"}, async::in(5s)));
    REQUIRE(ok);
    CHECK(ok->text == "hello");
    auto big = p.wait(p.client_end->call(Echo{std::string(3000000, 'x')}, async::in(5s)));
    REQUIRE(big);
    CHECK(big->text.size() == 3000000);
    auto bad = p.wait(p.client_end->call(Echo{"fail"}, async::in(5s)));
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == ErrorCode::not_found);
    CHECK_FALSE(bad.error().is_temporary());
}

TEST_CASE("a call ends at its deadline and leaves the channel usable") {
    Pair p;
    auto late = p.wait(p.client_end->call(Never{}, async::in(20ms)));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == ErrorCode::timeout);
    CHECK(p.wait(p.client_end->call(Echo{"still"}, async::in(5s))));
}

TEST_CASE("a channel is quiet when nothing is under way, not even the reply to a call that was given up") {
    Pair p;
    CHECK(p.wait(p.client_end->call(Echo{"x"}, async::in(5s))));
    CHECK(p.client_end->quiet());
    CHECK_FALSE(p.wait(p.client_end->call(Hold{"x"}, async::in(20ms))));
    CHECK_FALSE(p.client_end->quiet());
    CHECK_FALSE(p.server_end->quiet());
    CHECK(p.wait(p.client_end->call(Echo{"y"}, async::in(5s))));
    CHECK_FALSE(p.client_end->quiet());
    p.server.released = true;
    p.server.release.notify_all();
    CHECK(p.wait(p.client_end->call(Echo{"z"}, async::in(5s))));
    CHECK(p.client_end->quiet());
    CHECK(p.server_end->quiet());
    p.client_end->close("done");
    CHECK_FALSE(p.client_end->quiet());
}

TEST_CASE("what is served at a time is bounded in bytes, and goes on") {
    Pair p;
    constexpr size_t kSize = 3u << 20;
    constexpr size_t kCalls = 30;
    size_t answered = 0;
    async::Scope scope;
    auto call = [](Pair& pair, size_t& count) -> async::Task<void> {
        auto done = co_await pair.client_end->call(Hold{std::string(kSize, 'x')}, async::in(30s));
        count += done.has_value();
    };
    for (size_t i = 0; i < kCalls; i++) scope.spawn(call(p, answered));
    auto nap = [](async::Clock::duration span) -> async::Task<int> {
        co_await async::sleep_for(span);
        co_return 0;
    };
    p.wait(nap(300ms));
    CHECK(p.server.held_bytes >= kMaxServedBytes);
    CHECK(p.server.most_held < kMaxServedBytes + kSize);
    p.server.released = true;
    p.server.release.notify_all();
    for (int i = 0; i < 100 && answered < kCalls; i++) p.wait(nap(50ms));
    CHECK(answered == kCalls);
    CHECK(p.server.most_held < kMaxServedBytes + kSize);
}

TEST_CASE("descriptors travel both ways") {
    Pair p;
    Fd file(memfd_create("test", MFD_CLOEXEC));
    REQUIRE(write(file.get(), "hello", 5) == 5);
    auto reply = p.wait(p.client_end->call(GiveFile{std::move(file)}, async::in(5s)));
    REQUIRE(reply);
    char text[5];
    REQUIRE(pread(reply->file.get(), text, 5, 0) == 5);
    CHECK(std::string_view(text, 5) == "hello");
}

TEST_CASE("a message that the role may not send costs the sender the channel") {
    Pair p;
    auto reply = p.wait(p.client_end->call(Forbidden{}, async::in(5s)));
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ErrorCode::channel_lost);
    CHECK(p.server_end->lost());
}

TEST_CASE("a lost channel fails the calls under way and those after") {
    Pair p;
    auto call = p.client_end->call(Never{}, async::in(5s));
    p.server_end->close("test");
    auto reply = p.wait(std::move(call));
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ErrorCode::channel_lost);
    CHECK(p.wait(p.client_end->call(Echo{"x"}, async::in(5s))).error().code == ErrorCode::channel_lost);
}

TEST_CASE("garbage on the wire ends the channel") {
    std::string header =
        GENERATE(std::string(12, '\xff'), std::string("\x04\0\0\0\1\0\0\0\x01\x70\0\0zzzz", 16),
                 std::string("\0\0\0\0\1\0\0\0\x99\x99\0\0", 12), std::string("\0\0\0\0\1\0\0\0\x03\x70\0\1", 12),
                 std::string("\0\0\0\0\7\0\0\0\0\0\1\0", 12));
    async::Loop loop;
    Server server;
    auto [a, b] = make_socket_pair();
    Channel end(std::move(b), {Role::smtpd, "client"});
    end.serve(TestMessages{}, server);
    end.start();
    REQUIRE(write(a.get(), header.data(), header.size()) == static_cast<ssize_t>(header.size()));
    event_base_loop(loop.base(), EVLOOP_NONBLOCK);
    event_base_loop(loop.base(), EVLOOP_NONBLOCK);
    CHECK(end.lost());
}

TEST_CASE("notes arrive in order before a later call") {
    Pair p;
    for (uint32_t i = 1; i <= 100; i++) p.client_end->send(Note{i});
    REQUIRE(p.wait(p.client_end->call(Echo{"x"}, async::in(5s))));
    CHECK(p.server.notes == 5050);
}
