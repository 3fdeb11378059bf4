#include <array>
#include <sys/socket.h>
#include <thread>

#include "common/ipc/channel.h"
#include "moxd/sleepers.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::moxd;
using namespace std::chrono_literals;

namespace {

/// One account with two sessions that sleep; the other ends of all that moxd keeps.
struct World {
    async::Loop loop;
    std::vector<std::string> woken;
    Sleepers sleepers{[this](const std::string& account) { woken.push_back(account); }};
    Fd storaged;
    std::array<Fd, 2> clients;

    explicit World(async::Clock::duration clock = 1h) {
        Rested rested;
        auto keep = [](Fd& other) {
            auto [ours, theirs] = ipc::make_socket_pair();
            other = std::move(theirs);
            return std::move(ours);
        };
        rested.account_channel = keep(storaged);
        for (Fd& client : clients) rested.sessions.push_back({"state", keep(client), Fd()});
        rested.wake_at = async::in(clock);
        sleepers.add("alice", std::move(rested));
        settle();
    }
    void settle() {
        for (int i = 0; i < 20; i++) event_base_loop(loop.base(), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    std::string read(const Fd& fd) {
        char buffer[200];
        ssize_t n = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : "";
    }
};

}  // namespace

TEST_CASE("what has something to say wakes its account, once, and loses nothing") {
    World w;
    CHECK(w.sleepers.accounts() == 1);
    CHECK(w.sleepers.sessions() == 2);
    CHECK(w.sleepers.bytes() == 10);
    CHECK(w.sleepers.files() == 3);
    CHECK(w.woken.empty());
    REQUIRE(send(w.clients[1].get(), "a NOOP\r\n", 8, 0) == 8);
    REQUIRE(send(w.storaged.get(), "event", 5, 0) == 5);
    w.settle();
    CHECK(w.woken == std::vector<std::string>{"alice"});
    auto rested = w.sleepers.take("alice");
    REQUIRE(rested);
    CHECK(w.read(rested->sessions[1].stream) == "a NOOP\r\n");
    CHECK(w.read(rested->account_channel) == "event");
    CHECK(w.sleepers.accounts() + w.sleepers.sessions() + w.sleepers.bytes() + w.sleepers.files() == 0);
    CHECK_FALSE(w.sleepers.take("alice"));
}

TEST_CASE("the channel of one that sleeps can be had twice, and an account sleeps once") {
    World w;
    CHECK_FALSE(w.sleepers.duplicate_channel("bob"));
    Fd again = w.sleepers.duplicate_channel("alice");
    REQUIRE(send(again.get(), "ask", 3, 0) == 3);
    CHECK(w.read(w.storaged) == "ask");
    auto rested = w.sleepers.take("alice");
    rested->sessions.pop_back();
    Rested other;
    other.account_channel = std::move(again);
    other.sessions.push_back({"s", std::move(ipc::make_socket_pair().first), Fd()});
    w.sleepers.add("alice", std::move(*rested));
    w.sleepers.add("alice", std::move(other));
    CHECK(w.sleepers.accounts() == 1);
    CHECK(w.sleepers.sessions() == 1);
    CHECK(w.sleepers.bytes() == 1);
}

TEST_CASE("the clock wakes") {
    World w(50ms);
    CHECK(w.woken.empty());
    std::this_thread::sleep_for(60ms);
    w.settle();
    CHECK(w.woken.size() == 1);
}

TEST_CASE("clients that leave need no worker, and the last one takes the account along") {
    World w;
    w.clients[0].reset();
    w.settle();
    CHECK(w.sleepers.sessions() == 1);
    CHECK(w.sleepers.bytes() == 5);
    CHECK(w.sleepers.files() == 2);
    w.clients[1].reset();
    w.settle();
    CHECK(w.sleepers.accounts() == 0);
    CHECK(w.woken.empty());
    CHECK(recv(w.storaged.get(), nullptr, 0, MSG_DONTWAIT) == 0);  // closed
}

TEST_CASE("when the storage goes, or all ends, every client hears of it") {
    World w;
    SECTION("the storage") {
        w.storaged.reset();
        w.settle();
        for (const Fd& client : w.clients) CHECK(w.read(client).starts_with("* BYE [UNAVAILABLE] "));
    }
    SECTION("everything") {
        w.sleepers.end_all("server is shutting down");
        for (const Fd& client : w.clients) CHECK(w.read(client) == "* BYE server is shutting down\r\n");
    }
    SECTION("one account, also in the moment in which it is woken") {
        REQUIRE(send(w.storaged.get(), "event", 5, 0) == 5);
        w.settle();
        w.sleepers.end("alice", "no");
        w.sleepers.end("alice", "no");
        for (const Fd& client : w.clients) CHECK(w.read(client) == "* BYE no\r\n");
    }
    CHECK(w.sleepers.accounts() == 0);
    w.settle();
}

TEST_CASE("to a compressed stream BYE is said in DEFLATE") {
    auto [ours, theirs] = ipc::make_socket_pair();
    Rested rested;
    rested.sessions.push_back({"state", std::move(ours), Fd(), proto::StreamForm::deflate});
    rested.dismiss("x");
    char buffer[200];
    ssize_t n = recv(theirs.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    REQUIRE(n > 0);
    // RFC 1951 3.2.4: not the last block, stored; nine bytes, and what is not nine; the bytes.
    CHECK(std::string(buffer, static_cast<size_t>(n)) == std::string("\0\x09\0\xf6\xff* BYE x\r\n", 14));
}

TEST_CASE("what a worker tells is bounded") {
    auto session = [](size_t size) {
        return proto::RestSession{std::string(size, 'x'), std::move(ipc::make_socket_pair().first), Fd()};
    };
    auto sleep = [](uint32_t sessions, std::chrono::seconds wake_after = 60s) {
        return proto::Sleep{sessions, wake_after, std::move(ipc::make_socket_pair().first)};
    };
    Told told;
    told.add(session(proto::kMaxRestedState));
    SECTION("as it says") {
        told.add(session(0));
        auto rested = told.take(sleep(2));
        REQUIRE(rested);
        CHECK(rested->sessions.size() == 2);
        CHECK(rested->bytes() == proto::kMaxRestedState);
        CHECK(rested->account_channel);
        CHECK_FALSE(told.take(sleep(2)));  // once
    }
    SECTION("nobody wakes at once, or never") {
        auto rested = told.take(sleep(1, GENERATE(-1'000'000s, 0s)));
        CHECK(rested->wake_at > async::in(900ms));
        told.add(session(1));
        rested = told.take(sleep(1, std::chrono::seconds::max()));
        CHECK(rested->wake_at < async::in(25h));
    }
    SECTION("another number") {
        CHECK_FALSE(told.take(sleep(GENERATE(0u, 2u, UINT32_MAX))));
    }
    SECTION("no channel") {
        CHECK_FALSE(told.take({1, 60s, Fd()}));
    }
    SECTION("nothing told") {
        told.forget();
        CHECK_FALSE(told.take(sleep(0)));
    }
    SECTION("no stream") {
        told.add({"", Fd(), Fd()});
        CHECK(told.rested().sessions.empty());
        CHECK_FALSE(told.take(sleep(1)));
    }
    SECTION("too large a state drops all that comes, up to the end") {
        told.add(session(proto::kMaxRestedState + 1));
        told.add(session(1));
        CHECK(told.rested().sessions.empty());
        CHECK_FALSE(told.take(sleep(1)));
        told.add(session(1));
        CHECK(told.take(sleep(1)));
    }
    SECTION("too many") {
        for (size_t i = 1; i < proto::kMaxRestedSessions; i++) told.add(session(1));
        CHECK(told.rested().sessions.size() == proto::kMaxRestedSessions);
        told.add(session(1));
        CHECK(told.rested().sessions.empty());
    }
    SECTION("too many bytes") {
        for (int i = 1; i < 128; i++) told.add(session(proto::kMaxRestedState));
        CHECK(told.rested().sessions.size() == 128);
        told.add(session(1));
        CHECK(told.rested().sessions.empty());
    }
}
