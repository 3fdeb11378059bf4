#include <optional>
#include <stdexcept>
#include <sys/socket.h>

#include "common/async/stream.h"
#include "common/async/worker_pool.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::async;
using namespace std::chrono_literals;

namespace {

Task<int> immediately(int v) {
    co_return v;
}
Task<int> later(int v) {
    co_await Yield();
    co_return v;
}
Task<int> throwing() {
    co_await Yield();
    throw std::runtime_error("boom");
}

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& value, std::string& error) {
    try {
        value.emplace(co_await task);
    } catch (const std::exception& e) {
        error = e.what();
    }
    Loop::current().stop();
}

/// Runs the loop until the task ended; its value, or nothing when it threw.
template <class T>
std::optional<T> run(Loop& loop, Task<T> task, std::string* error = nullptr) {
    std::optional<T> value;
    std::string text;
    Scope scope;
    scope.spawn(keep(std::move(task), value, text));
    if (!value && text.empty()) loop.run();
    if (error != nullptr) *error = text;
    return value;
}

Task<int> sum_of_many(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += co_await immediately(1);
    co_return sum;
}

std::pair<Stream, Fd> connected() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    return {Stream(std::make_unique<SocketTransport>(Fd(ends[0]))), Fd(ends[1])};
}

Task<std::string> read_line(Stream& stream, size_t limit, Clock::duration span) {
    auto line = co_await stream.read_line(limit, in(span));
    co_return (line.end == LineEnd::crlf ? "line:" : "long:") + std::string(line.text);
}

struct CountsDestruction {
    int& count;
    ~CountsDestruction() { count++; }
};
Task<void> waits_for_ever(int& destroyed) {
    CountsDestruction local{destroyed};
    co_await sleep_for(1h);
}

}  // namespace

TEST_CASE("awaiting finished tasks uses no stack") {
    Loop loop;
    CHECK(run(loop, sum_of_many(2000000)) == 2000000);
}

TEST_CASE("values and exceptions travel to the awaiter") {
    Loop loop;
    CHECK(run(loop, later(7)) == 7);
    std::string error;
    CHECK_FALSE(run(loop, throwing(), &error));
    CHECK(error == "boom");
}

TEST_CASE("ending a scope cancels what it owns") {
    Loop loop;
    int destroyed = 0;
    {
        Scope scope;
        scope.spawn(waits_for_ever(destroyed));
        scope.spawn(waits_for_ever(destroyed));
        CHECK(scope.size() == 2);
    }
    CHECK(destroyed == 2);
}

TEST_CASE("a line ends with CRLF only") {
    Loop loop;
    auto [stream, peer] = connected();
    std::string text = "one\ntwo\rthree\r\nnext\r\n";
    REQUIRE(write(peer.get(), text.data(), text.size()) > 0);
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:one\ntwo\rthree");
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:next");
}

TEST_CASE("a line may come byte by byte and may be too long") {
    Loop loop;
    auto [stream, peer] = connected();
    auto task = read_line(stream, 10, 1s);
    for (char c : std::string("0123456789\r\n")) {
        REQUIRE(write(peer.get(), &c, 1) == 1);
        event_base_loop(loop.base(), EVLOOP_NONBLOCK);
    }
    auto line = run(loop, std::move(task));
    CHECK(line == "line:0123456789");
    REQUIRE(write(peer.get(), "0123456789a\r\n", 13) == 13);
    CHECK(run(loop, read_line(stream, 10, 1s))->starts_with("long:"));
}

TEST_CASE("bytes that are given back come again, before what is there") {
    Loop loop;
    auto [stream, peer] = connected();
    REQUIRE(write(peer.get(), "one\r\nthree\r\n", 12) == 12);
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:one");
    stream.put_back("two\r");
    stream.put_back("");
    CHECK(stream.buffered() == "two\rthree\r\n");
    stream.put_back("\r\n");
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:");
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:two\rthree");
    stream.put_back("four\r\n");
    CHECK(run(loop, read_line(stream, 100, 1s)) == "line:four");
}

TEST_CASE("reading stops at the deadline and at the end of input") {
    Loop loop;
    auto [stream, peer] = connected();
    std::string error;
    CHECK_FALSE(run(loop, read_line(stream, 10, 10ms), &error));
    CHECK(error == "deadline passed");
    peer.reset();
    CHECK_FALSE(run(loop, read_line(stream, 10, 1s), &error));
    CHECK(error.find("closed") != std::string::npos);
}

TEST_CASE("the pool runs jobs in threads and returns their values") {
    Loop loop;
    LoopMailbox mailbox;
    WorkerPool pool(2, mailbox);
    CHECK(run(loop, pool.run([] { return std::this_thread::get_id(); })) != std::this_thread::get_id());
    // A dropped wait does not hurt the job.
    {
        auto dropped = pool.run([] { return 1; });
    }
    CHECK(run(loop, pool.run([] { return 2; })) == 2);
}
