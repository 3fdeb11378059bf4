#include "httpd/request.h"
#include "tests/unit/catch.h"

namespace mox::httpd {
namespace {

struct Good {
    const char* head;
    Method method;
    const char* path;
    After after;
};

constexpr const char* kHost = "Host: x\r\n";

}  // namespace

TEST_CASE("requests that are understood") {
    const Good cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n", Method::get, "/", After::keep_alive},
        {"HEAD /healthz HTTP/1.1\r\nHost: x\r\n", Method::head, "/healthz", After::keep_alive},
        {"GET /a?b=c HTTP/1.1\r\nhost:x\r\n", Method::get, "/a", After::keep_alive},
        {"get / HTTP/1.1\r\nHost: x\r\n", Method::other, "/", After::keep_alive},
        {"OPTIONS * HTTP/1.1\r\nHost: x\r\n", Method::other, "*", After::keep_alive},
        {"GET http://h:1/a?b HTTP/1.1\r\nHost: x\r\n", Method::get, "/a", After::keep_alive},
        {"GET http://h HTTP/1.1\r\nHost: x\r\n", Method::get, "/", After::keep_alive},
        {"GET http://h?q HTTP/1.1\r\nHost: x\r\n", Method::get, "/", After::keep_alive},
        {"GET / HTTP/1.0\r\n", Method::get, "/", After::close},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n", Method::get, "/", After::close},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n", Method::get, "/", After::keep_alive},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", Method::other, "/", After::keep_alive},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n", Method::other, "/", After::close},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n", Method::get, "/", After::close},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n", Method::other, "/", After::close},
        {"GET / HTTP/1.1\r\nHost: x\r\nX-Y:\t\xc3\xa9 \r\n", Method::get, "/", After::keep_alive},
        {"GET / HTTP/1.1\r\nHost:\r\n", Method::get, "/", After::keep_alive},
    };
    for (const auto& c : cases) {
        INFO(c.head);
        auto request = parse_request(c.head);
        REQUIRE(request);
        CHECK(request->method == c.method);
        CHECK(request->path == c.path);
        CHECK(request->after == c.after);
    }
}

TEST_CASE("requests that are refused") {
    struct {
        std::string head;
        Status status;
    } cases[] = {
        {"", 400},
        {"nonsense\r\n", 400},
        {"GET /\r\n", 400},
        {"GET / HTTP/1.1\r\n", 400},                               // no Host
        {std::string("GET / HTTP/1.1\r\n") + kHost + kHost, 400},  // two
        {std::string("GET  / HTTP/1.1\r\n") + kHost, 400},         // blank in the target
        {std::string("GET /a b HTTP/1.1\r\n") + kHost, 400},
        {std::string("GET /a\tb HTTP/1.1\r\n") + kHost, 400},
        {std::string("GET /\xc3\xa9 HTTP/1.1\r\n") + kHost, 400},
        {std::string("GET relative HTTP/1.1\r\n") + kHost, 400},
        {std::string("CONNECT host:443 HTTP/1.1\r\n") + kHost, 400},
        {std::string("G(T / HTTP/1.1\r\n") + kHost, 400},
        {std::string(" GET / HTTP/1.1\r\n") + kHost, 400},
        {std::string("GET / http/1.1\r\n") + kHost, 400},
        {std::string("GET / HTTP/1.10\r\n") + kHost, 400},
        {std::string("GET / HTTP/x.1\r\n") + kHost, 400},
        {std::string("GET / HTTP/2.0\r\n") + kHost, 505},
        {std::string("GET / HTTP/9.9\r\n"), 505},
        {std::string("GET / HTTP/1.1\r\nHost : x\r\n"), 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + " folded\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "no colon\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + ": empty name\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + std::string("X: a\0b\r\n", 8), 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "X: a\rb\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "X: a\nY: b\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "Content-Length: -1\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "Content-Length: 1, 1\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "Content-Length: 99999999999999999999\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "Content-Length: 1\r\nContent-Length: 2\r\n", 400},
        {std::string("GET / HTTP/1.1\r\n") + kHost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400},
        {std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"), 400},
    };
    for (const auto& c : cases) {
        INFO(c.head);
        auto request = parse_request(c.head);
        REQUIRE_FALSE(request);
        CHECK(request.error() == c.status);
    }
}

TEST_CASE("fields are counted") {
    std::string head = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (size_t i = 1; i < kMaxFields; i++) head += "X: y\r\n";
    CHECK(parse_request(head));
    head += "X: y\r\n";
    CHECK(parse_request(head).error() == 431);
}

}  // namespace mox::httpd
