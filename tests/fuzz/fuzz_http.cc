// The head of an HTTP request, and the metrics of other programs: no input may do more than be refused.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "httpd/merge_metrics.h"
#include "httpd/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mox::httpd;
    std::string text(reinterpret_cast<const char*>(data), size);
    if (auto request = parse_request(text)) {
        if (request->path != "*" && !request->path.starts_with('/')) std::abort();
    } else if (request.error() < 400) {
        std::abort();
    }
    if (size > 4000) return 0;  // lines over the limit are left out
    std::string merged = merge_metrics({{"a", text}, {"b", text}});
    // What was merged is well formed: merging it again loses no line.
    std::string again = merge_metrics({{"c", merged}});
    if (std::count(merged.begin(), merged.end(), '\n') != std::count(again.begin(), again.end(), '\n')) std::abort();
    return 0;
}
