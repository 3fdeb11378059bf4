// A connection over a socket pair: what goes in, what comes out, and that it ends.
#include <regex>
#include <sys/socket.h>
#include <vector>

#include "httpd/session.h"
#include "tests/unit/catch.h"

namespace mox::httpd {
namespace {

using namespace std::chrono_literals;

struct Outcome {
    std::string received;
    std::string client_error;
    bool served = false;
    bool read = false;
};

void done(Outcome& outcome, bool Outcome::* what) {
    outcome.*what = true;
    if (outcome.served && outcome.read) async::Loop::current().stop();
}

async::Task<Result<proto::AllMetrics>> some_metrics() {
    co_await async::sleep_for(1ms);
    co_return proto::AllMetrics{{{"smtpd", "mox_x 1\n"}}};
}

async::Task<void> serve_socket(Fd socket, proto::Service service, const MetricsSource& metrics, RequestCounts& counts,
                               Outcome& outcome) {
    {
        async::Stream stream(std::make_unique<async::SocketTransport>(std::move(socket)));
        co_await serve(stream, service, metrics, counts, log::Logger(1));
    }
    done(outcome, &Outcome::served);
}

async::Task<void> talk(Fd socket, std::string input, Outcome& outcome) {
    async::Stream stream(std::make_unique<async::SocketTransport>(std::move(socket)));
    try {
        stream.write(input);
        co_await stream.flush(async::in(5s));
        stream.close_write();
        for (;;) {
            auto bytes = co_await stream.read_some(65536, async::in(5s));
            if (bytes.empty()) break;
            outcome.received += bytes;
        }
    } catch (const std::exception& e) {
        outcome.client_error = e.what();
    }
    done(outcome, &Outcome::read);
}

struct World {
    RequestCounts counts;
    MetricsSource metrics = some_metrics;

    Outcome exchange(std::string input, proto::Service service = proto::Service::metrics) {
        async::Loop loop;
        int ends[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
        Outcome outcome;
        async::Scope scope;
        scope.spawn(serve_socket(Fd(ends[0]), service, metrics, counts, outcome));
        scope.spawn(talk(Fd(ends[1]), std::move(input), outcome));
        if (!outcome.served || !outcome.read) loop.run();
        CHECK(outcome.served);
        return outcome;
    }
};

std::vector<int> statuses(const std::string& received) {
    std::vector<int> out;
    static const std::regex line("HTTP/1\\.1 (\\d{3}) ");
    for (std::sregex_iterator i(received.begin(), received.end(), line), end; i != end; ++i)
        out.push_back(std::stoi((*i)[1]));
    return out;
}

}  // namespace

TEST_CASE("requests on one connection are answered in order") {
    World world;
    auto outcome = world.exchange(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        "\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(statuses(outcome.received) == std::vector<int>{200, 200, 404, 405});
    CHECK(outcome.received.find("mox_x{process=\"smtpd\"} 1\n") != std::string::npos);
    CHECK(outcome.client_error == "");
    std::string counted = world.counts.text();
    CHECK(counted.find("mox_http_requests_total{service=\"metrics\",code=\"200\"} 2\n") != std::string::npos);
    CHECK(counted.find("mox_http_requests_total{service=\"metrics\",code=\"404\"} 1\n") != std::string::npos);
}

TEST_CASE("after a request with a body nothing is read as a request") {
    World world;
    auto outcome = world.exchange(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 45\r\n\r\n"
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(statuses(outcome.received) == std::vector<int>{405});
}

TEST_CASE("refused requests end the connection with an answer") {
    struct {
        std::string input;
        int status;
    } cases[] = {
        {"nonsense\r\n\r\n", 400},
        {"\r\n\r\n\r\n", 400},
        {"GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {"GET / HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n", 431},
        {"GET / HTTP/1.1\r\nX: y\r\n" + std::string(20'000, 'z'), 431},
        {"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505},
    };
    for (auto& c : cases) {
        INFO(c.input.substr(0, 40));
        World world;
        auto outcome = world.exchange(c.input);
        CHECK(statuses(outcome.received) == std::vector<int>{c.status});
    }
}

TEST_CASE("a head may have 16 KiB and no more") {
    std::string field = "X: " + std::string(95, 'y') + "\r\n";  // 100 bytes
    std::string head = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < 95; i++) head += field;
    World world;
    CHECK(statuses(world.exchange(head + "\r\n").received) == std::vector<int>{200});
    std::string long_field = "X: " + std::string(8000, 'y') + "\r\n";
    CHECK(statuses(world.exchange(head + long_field + "\r\n").received) == std::vector<int>{431});
}

TEST_CASE("a client that goes away ends its session") {
    World world;
    CHECK(world.exchange("").received.empty());
    CHECK(world.exchange("GET /healthz HTTP/1.1\r\nHo").received.empty());
}

TEST_CASE("metrics are served on their listener only") {
    World world;
    CHECK(statuses(world.exchange("GET /metrics HTTP/1.0\r\n\r\n", proto::Service::http).received) ==
          std::vector<int>{404});
}

}  // namespace mox::httpd
