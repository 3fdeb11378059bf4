// Collecting and printing what is wrong in a configuration file.
#include "common/config/diagnostic.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>
#include <utility>

namespace mox::config {

std::string format(const Diagnostic& diagnostic) {
    std::string out = diagnostic.file;
    if (diagnostic.line != 0) out += fmt::format(":{}:{}", diagnostic.line, diagnostic.column);
    out += ": " + diagnostic.message;
    if (!diagnostic.expected.empty()) out += ", expected " + diagnostic.expected;
    return out;
}

std::string shown(std::string_view word) {
    constexpr size_t kShown = 40;
    size_t characters = 0;
    for (size_t i = 0; i < word.size(); i++) {
        bool starts = (static_cast<unsigned char>(word[i]) & 0xc0) != 0x80;
        if (starts && characters++ == kShown) return fmt::format("'{}...'", word.substr(0, i));
    }
    return fmt::format("'{}'", word);
}

void Diagnostics::add(Position position, std::string message, std::string expected) {
    total_++;
    if (list_.size() == kMaxDiagnostics) return;
    list_.push_back({file_, position.line, position.column, std::move(message), std::move(expected)});
}

std::vector<Diagnostic> Diagnostics::take() {
    std::ranges::sort(list_, {}, [](const Diagnostic& d) { return std::tuple(d.line, d.column); });
    if (total_ > list_.size()) {
        list_.push_back({file_, 0, 0, fmt::format("{} more errors are not shown", total_ - list_.size()), {}});
    }
    total_ = 0;
    return std::exchange(list_, {});
}

}  // namespace mox::config
