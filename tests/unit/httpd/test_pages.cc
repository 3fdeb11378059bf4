#include "httpd/pages.h"
#include "tests/unit/catch.h"

namespace mox::httpd {

using proto::Service;

TEST_CASE("what is where") {
    struct {
        Service service;
        Method method;
        const char* path;
        Status status;  // 0: the metrics of the suite
    } cases[] = {
        {Service::http, Method::get, "/", 200},
        {Service::https, Method::get, "/", 200},
        {Service::metrics, Method::head, "/", 200},
        {Service::http, Method::get, "/healthz", 200},
        {Service::https, Method::head, "/healthz", 200},
        {Service::metrics, Method::get, "/healthz", 200},
        {Service::metrics, Method::get, "/metrics", 0},
        {Service::metrics, Method::head, "/metrics", 0},
        {Service::http, Method::get, "/metrics", 404},
        {Service::https, Method::get, "/metrics", 404},
        {Service::metrics, Method::other, "/metrics", 405},
        {Service::http, Method::other, "/", 405},
        {Service::http, Method::other, "/nothing", 404},
        {Service::metrics, Method::get, "/metrics/", 404},
        {Service::http, Method::get, "*", 404},
        {Service::http, Method::get, "/HEALTHZ", 404},
    };
    for (const auto& c : cases) {
        INFO(to_string(c.service) << " " << c.path);
        auto page = find_page(c.service, c.method, c.path);
        CHECK(page.has_value() == (c.status != 0));
        if (page) CHECK(page->status == c.status);
    }
    CHECK(find_page(Service::http, Method::get, "/healthz")->body == "ok\n");
    CHECK(find_page(Service::metrics, Method::get, "/")->body.find("href=\"/metrics\"") != std::string::npos);
    CHECK(find_page(Service::http, Method::get, "/")->body.find("metrics") == std::string::npos);
}

TEST_CASE("an answer on the wire") {
    std::string get = format_response({200, "text/plain", "ok\n"}, Method::get, After::keep_alive, 784111777);
    CHECK(get ==
          "HTTP/1.1 200 OK\r\n"
          "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"  // the example of RFC 9110 5.6.7
          "Content-Type: text/plain\r\n"
          "Content-Length: 3\r\n"
          "Cache-Control: no-store\r\n"
          "X-Content-Type-Options: nosniff\r\n"
          "\r\n"
          "ok\n");
    std::string head = format_response({200, "text/plain", "ok\n"}, Method::head, After::keep_alive, 784111777);
    CHECK(head + "ok\n" == get);
    std::string refused = format_response(status_page(405), Method::other, After::close, 0);
    CHECK(refused.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(refused.find("\r\nAllow: GET, HEAD\r\n") != std::string::npos);
    CHECK(refused.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(refused.ends_with("\r\n\r\n405 Method Not Allowed\n"));
}

TEST_CASE("metrics that cannot be had") {
    Page page = metrics_page(temporary(ErrorCode::timeout, "moxd did not answer in time"));
    CHECK(page.status == 503);
    CHECK(page.body.find("did not answer") != std::string::npos);
    Page good = metrics_page(proto::AllMetrics{{{"smtpd", "mox_x 1\n"}}});
    CHECK(good.status == 200);
    CHECK(good.content_type.starts_with("text/plain; version=0.0.4"));
    CHECK(good.body == "mox_x{process=\"smtpd\"} 1\n");
}

}  // namespace mox::httpd
