// The metrics of all programs as one page: lines of one metric together, each sample labelled with the process it is
// of.
//
// Each program writes its own lines in the text format of Prometheus (version 0.0.4). They are not trusted here: a line
// that is not well formed, or says the same sample twice, is left out.
#pragma once

#include <string>
#include <vector>

#include "proto/supervise.h"

namespace mox::httpd {

std::string merge_metrics(const std::vector<proto::ProcessMetrics>& processes);

}  // namespace mox::httpd
