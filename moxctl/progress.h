// A line on a terminal that says how far a long command has come. Without a terminal nothing is shown.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace mox::moxctl {

class Progress {
  public:
    /// Looks whether standard error is a terminal: before the process is confined.
    Progress();
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// So many of `noun` and bytes are done; shown a few times a second.
    void show(std::string_view noun, uint64_t count, uint64_t bytes);
    /// Takes the line away, so that something else can be written.
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    bool terminal_;
    bool shown_ = false;
    Clock::time_point begin_ = Clock::now();
    Clock::time_point last_ = begin_;
};

}  // namespace mox::moxctl
