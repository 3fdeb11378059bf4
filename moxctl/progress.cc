#include "moxctl/progress.h"

#include <fmt/format.h>
#include <string>
#include <unistd.h>

#include "moxctl/output.h"

namespace mox::moxctl {
namespace {

void write_out(std::string_view text) {
    [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::show(std::string_view noun, uint64_t count, uint64_t bytes) {
    using namespace std::chrono_literals;
    if (!terminal_ || Clock::now() - last_ < 250ms) return;
    last_ = Clock::now();
    double seconds = std::chrono::duration<double>(last_ - begin_).count();
    shown_ = true;
    write_out(fmt::format("\r{} {}, {}, {:.0f}/s\x1b[K", count, noun, human_size(bytes),
                          static_cast<double>(count) / seconds));
}

void Progress::clear() {
    if (!shown_) return;
    shown_ = false;
    write_out("\r\x1b[K");
}

}  // namespace mox::moxctl
