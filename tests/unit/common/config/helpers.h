// What the tests of the configuration share.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace mox::config {

/// All messages, one a line.
inline std::string lines(const std::vector<Diagnostic>& diagnostics) {
    std::string out;
    for (const Diagnostic& one : diagnostics) out += format(one) + "\n";
    return out;
}

inline std::string errors_of_config(std::string_view text) {
    auto config = parse_config(text, "m");
    return config ? "" : lines(config.error());
}

inline std::string errors_of_domains(std::string_view text) {
    auto domains = parse_domains(text, "d");
    return domains ? "" : lines(domains.error());
}

inline std::string read_source(const std::string& path) {
    std::ifstream in(std::string(MOX_SOURCE_ROOT) + "/" + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A mox.conf with nothing but what is required, and then `more`.
inline std::string minimal(const std::string& more) {
    return "hostname h.example; postmaster account p; listen l { address 127.0.0.1; metrics }\n" + more;
}

}  // namespace mox::config
