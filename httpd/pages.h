// What is at which path, on which service: a pure decision. And how an answer looks on the wire.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "httpd/request.h"
#include "proto/supervise.h"

namespace mox::httpd {

struct Page {
    Status status = 200;
    std::string content_type;
    std::string body;
};

/// The answer to a request, or nothing when it is the metrics of the whole suite, which have to be asked for.
std::optional<Page> find_page(proto::Service service, Method method, std::string_view path);

/// The answer with the metrics of the suite; 503 when they could not be had.
Page metrics_page(const Result<proto::AllMetrics>& metrics);

/// The answer that only says what the status is.
Page status_page(Status status);

/// The reason phrase (RFC 9110 section 15).
std::string_view reason(Status status);

/// An answer as it is sent: status line, fields and, unless `method` is HEAD, the body. `now` is in Unix seconds.
std::string format_response(const Page& page, Method method, After after, int64_t now);

/// The label of a service in metrics and logs.
std::string_view to_string(proto::Service service);

}  // namespace mox::httpd
