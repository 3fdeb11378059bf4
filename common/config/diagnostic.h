// What is wrong in a configuration file, where, and what was expected instead.
//
// Readers of the files collect everything they find into Diagnostics, so that a person mends a file in one go.
// The list is bounded: a file of garbage gives kMaxDiagnostics messages and a note, not a million. Messages never
// repeat the value of a secret (passwords); they repeat other words, shortened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mox::config {

/// At most so many messages are kept for one file; the rest is only counted.
inline constexpr size_t kMaxDiagnostics = 20;

/// A place in a file. Lines and columns count from 1; columns count characters, a tab being one. 0 means "the
/// file as a whole".
struct Position {
    uint32_t line = 0;
    uint32_t column = 0;
    auto operator<=>(const Position&) const = default;
};

/// One thing that is wrong.
struct Diagnostic {
    std::string file;
    uint32_t line = 0;    // 0: the file as a whole
    uint32_t column = 0;  // 0: the file as a whole
    std::string message;
    std::string expected;  // what should stand there; may be empty
    bool operator==(const Diagnostic&) const = default;
};

/// "file:line:column: message, expected this"; without line and column when they are 0.
std::string format(const Diagnostic& diagnostic);

/// The word in single quotes for a message, shortened to 40 characters.
std::string shown(std::string_view word);

/// Collects what is wrong in one file.
class Diagnostics {
  public:
    explicit Diagnostics(std::string file) : file_(std::move(file)) {}

    void add(Position position, std::string message, std::string expected = {});

    bool empty() const { return total_ == 0; }
    size_t total() const { return total_; }
    const std::string& file() const { return file_; }

    /// All messages in the order of the file; the last one says how many were left out, if any.
    std::vector<Diagnostic> take();

  private:
    std::string file_;
    std::vector<Diagnostic> list_;
    size_t total_ = 0;
};

}  // namespace mox::config
