// What moxctl prints: aligned tables and sentences for people, JSON for programs.
//
// Text that came from elsewhere (addresses, error messages of other mail servers) never reaches a terminal with control
// characters in it.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace mox::moxctl {

using Json = nlohmann::ordered_json;

enum class Format : uint8_t { text, json };

class Output {
  public:
    Output(std::ostream& out, std::ostream& errors) : out_(out), errors_(errors) {}

    Format format = Format::text;

    /// A line for people; with --json nothing.
    void say(std::string_view line);
    /// The same, and an object for programs.
    void say(std::string_view line, const Json& json);
    /// Text as it is, in either format.
    void raw(std::string_view text);
    void json(const Json& value);
    /// A message on standard error; may have several lines.
    void complain(std::string_view text);

  private:
    std::ostream& out_;
    std::ostream& errors_;
};

enum class Align : uint8_t { left, right };

/// Rows under headings, as wide as their contents.
class Table {
  public:
    struct Column {
        std::string heading;
        Align align = Align::left;
    };
    explicit Table(std::vector<Column> columns);
    /// As many cells as columns. An empty one is shown as a dash.
    void add(std::vector<std::string> cells);
    /// The lines of the rows since the last call, under the headings at the first one. Columns never get narrower.
    std::string take();

  private:
    std::string line(const std::vector<std::string>& cells) const;
    std::vector<Column> columns_;
    std::vector<size_t> widths_;
    std::vector<std::vector<std::string>> rows_;
    bool headed_ = false;
};

/// "512", "1.5K", "12M": units of 1024.
std::string human_size(uint64_t bytes);
/// "5s", "3m12s", "2h05m", "3d04h". Negative spans count as 0.
std::string human_duration(std::chrono::seconds span);
/// A time in Unix seconds as it is here: "2026-03-01 09:30:00", and the day alone.
std::string local_time(int64_t seconds);
std::string local_day(int64_t seconds);
/// Without control characters: each is shown as a question mark.
std::string printable(std::string_view text);
/// Columns that UTF-8 text takes, counting one for a code point.
size_t text_width(std::string_view text);
/// Fixed settings: indented, never throwing on bad UTF-8.
std::string to_text(const Json& value);

}  // namespace mox::moxctl
