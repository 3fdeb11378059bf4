#include "httpd/session.h"

#include <ctime>

namespace mox::httpd {
namespace {

constexpr size_t kMaxLine = 8192;
constexpr size_t kMaxDrained = 256 * 1024;
constexpr std::chrono::seconds kDrainLimit{2};

/// The lines of a request's head, each with its CRLF; or the status that refuses it.
async::Task<std::expected<std::string, Status>> read_head(async::Stream& stream) {
    std::string head;
    auto deadline = async::in(kRequestLimit);
    for (int empty = 0;;) {
        auto line = co_await stream.read_line(kMaxLine, deadline);
        if (line.end == async::LineEnd::too_long) co_return std::unexpected(Status{head.empty() ? 414 : 431});
        if (line.text.empty() && !head.empty()) co_return head;
        if (line.text.empty()) {
            // RFC 9112 2.2: an empty line before the request line is ignored. One.
            if (++empty > 1) co_return std::unexpected(Status{400});
            continue;
        }
        if (head.size() + line.text.size() + 2 > kMaxHead) co_return std::unexpected(Status{431});
        head += line.text;
        head += "\r\n";
    }
}

/// RFC 9112 9.6: closing while the client still sends would make the kernel reset the connection and take the answer
/// with it.
async::Task<void> drain(async::Stream& stream) {
    stream.close_write();
    auto deadline = async::in(kDrainLimit);
    for (size_t total = 0; total < kMaxDrained;) {
        size_t got = (co_await stream.read_some(16384, deadline)).size();
        if (got == 0) co_return;
        total += got;
    }
}

/// One request and its answer; what becomes of the connection.
async::Task<After> serve_one(async::Stream& stream, proto::Service service, const MetricsSource& metrics,
                             RequestCounts& counts, const log::Logger& log) {
    Request request;
    Page page;
    auto head = co_await read_head(stream);
    auto parsed = head ? parse_request(*head) : std::unexpected(head.error());
    if (parsed) {
        request = std::move(*parsed);
        auto found = find_page(service, request.method, request.path);
        if (found) {
            page = std::move(*found);
        } else {
            auto answer = co_await metrics();
            page = metrics_page(answer);
        }
    } else {
        page = status_page(parsed.error());
    }
    counts.add(service, page.status);
    log.debug("request", {{"path", request.path}, {"status", page.status}});
    stream.write(format_response(page, request.method, request.after, std::time(nullptr)));
    co_await stream.flush(async::in(kResponseLimit));
    co_return request.after;
}

}  // namespace

std::string RequestCounts::text() const {
    std::string out =
        "# HELP mox_http_requests_total HTTP requests answered.\n"
        "# TYPE mox_http_requests_total counter\n";
    for (const auto& [key, count] : counts_)
        out += fmt::format("mox_http_requests_total{{service=\"{}\",code=\"{}\"}} {}\n", to_string(key.first),
                           key.second, count);
    return out;
}

async::Task<void> serve(async::Stream& stream, proto::Service service, const MetricsSource& metrics,
                        RequestCounts& counts, log::Logger log) {
    try {
        for (size_t i = 0; i < kMaxRequests; i++) {
            After after = co_await serve_one(stream, service, metrics, counts, log);
            if (after == After::close) break;
        }
        co_await drain(stream);
    } catch (const std::exception& e) {
        log.debug("connection ended", {{"reason", e.what()}});
    }
}

}  // namespace mox::httpd
