#include "httpd/pages.h"

#include <ctime>
#include <fmt/format.h>

#include "httpd/merge_metrics.h"

namespace mox::httpd {
namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";
// The version of the exposition format.
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

constexpr std::string_view kFrontPage =
    "<!doctype html>\n<title>mox mail server</title>\n"
    "<p>This is a mox mail server. There are no web pages here yet.</p>\n";

constexpr std::string_view kInternalPage =
    "<!doctype html>\n<title>mox mail server</title>\n"
    "<p>The internal listener of a mox mail server.</p>\n"
    "<ul>\n<li><a href=\"/metrics\">/metrics</a>: numbers of all programs, for Prometheus</li>\n"
    "<li><a href=\"/healthz\">/healthz</a>: says ok while this program answers</li>\n</ul>\n";

enum class Path : uint8_t { front, health, metrics, unknown };

Path look_up(proto::Service service, std::string_view path) {
    if (path == "/") return Path::front;
    if (path == "/healthz") return Path::health;
    if (path == "/metrics" && service == proto::Service::metrics) return Path::metrics;
    return Path::unknown;
}

std::string http_date(int64_t now) {
    auto seconds = static_cast<time_t>(now);
    tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    // RFC 9110 5.6.7; the locale is always "C".
    size_t size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text, size};
}

}  // namespace

std::optional<Page> find_page(proto::Service service, Method method, std::string_view path) {
    Path found = look_up(service, path);
    if (found == Path::unknown) return status_page(404);
    if (method == Method::other) return status_page(405);
    if (found == Path::metrics) return std::nullopt;
    if (found == Path::health) return Page{200, std::string(kText), "ok\n"};
    return Page{200, std::string(kHtml), std::string(service == proto::Service::metrics ? kInternalPage : kFrontPage)};
}

Page metrics_page(const Result<proto::AllMetrics>& metrics) {
    if (metrics) return {200, std::string(kPrometheus), merge_metrics(metrics->processes)};
    return {503, std::string(kText), "metrics are not available: " + metrics.error().text + "\n"};
}

Page status_page(Status status) {
    return {status, std::string(kText), fmt::format("{} {}\n", status, reason(status))};
}

std::string_view reason(Status status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 414:
            return "URI Too Long";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Error";
    }
}

std::string format_response(const Page& page, Method method, After after, int64_t now) {
    std::string out = fmt::format(
        "HTTP/1.1 {} {}\r\n"
        "Date: {}\r\n"  // RFC 9110 6.6.1
        "Content-Type: {}\r\n"
        "Content-Length: {}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n",
        page.status, reason(page.status), http_date(now), page.content_type, page.body.size());
    // RFC 9110 15.5.6
    if (page.status == 405) out += "Allow: GET, HEAD\r\n";
    if (after == After::close) out += "Connection: close\r\n";
    out += "\r\n";
    // RFC 9110 9.3.2
    if (method != Method::head) out += page.body;
    return out;
}

std::string_view to_string(proto::Service service) {
    switch (service) {
        case proto::Service::http:
            return "http";
        case proto::Service::https:
            return "https";
        case proto::Service::metrics:
            return "metrics";
        default:
            return "other";
    }
}

}  // namespace mox::httpd
