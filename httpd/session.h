// One HTTP connection: requests in, answers out, one after the other, until one side has enough.
//
// Every wait has a deadline and everything read has a bound (request.h). A request that is refused ends the connection;
// what the client still sends then is read for a moment and thrown away, so that the answer reaches it. RFC 9112.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "common/async/stream.h"
#include "common/log/log.h"
#include "httpd/pages.h"

namespace mox::httpd {

/// Asks for the metrics of the whole suite.
using MetricsSource = std::function<async::Task<Result<proto::AllMetrics>>()>;

/// Requests answered, by service and status. Bounded: both are from small fixed sets.
class RequestCounts {
  public:
    void add(proto::Service service, Status status) { counts_[{service, status}]++; }
    /// Lines in the format of Prometheus.
    std::string text() const;

  private:
    std::map<std::pair<proto::Service, Status>, uint64_t> counts_;
};

constexpr size_t kMaxRequests = 1000;              // on one connection
constexpr std::chrono::seconds kRequestLimit{30};  // from the end of the answer before to the end of the next head
constexpr std::chrono::seconds kResponseLimit{30};

/// Serves a connection to its end. `stream`, `counts` and `metrics` outlive the task. Never throws.
async::Task<void> serve(async::Stream& stream, proto::Service service, const MetricsSource& metrics,
                        RequestCounts& counts, log::Logger log);

}  // namespace mox::httpd
