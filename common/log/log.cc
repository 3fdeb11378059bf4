#include "common/log/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <random>
#include <unistd.h>

namespace mox::log {
namespace {

struct State {
    std::string program = "mox";
    std::atomic<Level> level = Level::info;
    std::atomic<Format> format = Format::text;
    std::atomic<int> fd = STDERR_FILENO;
};

State& state() {
    static State s;
    return s;
}

constexpr std::array<std::string_view, 5> kNames = {"error", "warn", "info", "debug", "trace"};

void append_time(std::string& out) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000);
}

void append_escaped(std::string& out, std::string_view value) {
    out += '"';
    for (char c : value) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
        } else {
            out += c;
        }
    }
    out += '"';
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (char c : value)
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
    return false;
}

void append_field(std::string& out, Format format, std::string_view key, std::string_view value, bool quoted) {
    if (format == Format::json) {
        fmt::format_to(std::back_inserter(out), ",\"{}\":", key);
        if (quoted)
            append_escaped(out, value);
        else
            out += value;
        return;
    }
    fmt::format_to(std::back_inserter(out), " {}=", key);
    if (quoted && needs_quotes(value))
        append_escaped(out, value);
    else
        out += value;
}

void write_line(Level level, std::string_view cid, std::string_view message, Fields fields) {
    State& s = state();
    Format format = s.format;
    std::string line;
    line.reserve(256);
    if (format == Format::json) {
        line += "{\"time\":\"";
        append_time(line);
        line += '"';
        append_field(line, format, "level", to_string(level), true);
    } else {
        append_time(line);
        line += " level=";
        line += to_string(level);
    }
    append_field(line, format, "program", s.program, true);
    append_field(line, format, "pid", fmt::to_string(getpid()), false);
    if (!cid.empty()) append_field(line, format, "cid", cid, true);
    append_field(line, format, "msg", message, true);
    for (const Field& f : fields) append_field(line, format, f.key, f.value, f.quoted);
    line += format == Format::json ? "}\n" : "\n";
    // A log that cannot be written must not stop mail.
    [[maybe_unused]] ssize_t n = ::write(s.fd, line.data(), line.size());
}

}  // namespace

std::string_view to_string(Level level) {
    return kNames[static_cast<size_t>(level)];
}

bool parse_level(std::string_view name, Level& out) {
    for (size_t i = 0; i < kNames.size(); i++) {
        if (kNames[i] != name) continue;
        out = static_cast<Level>(i);
        return true;
    }
    return false;
}

void set_program(std::string_view name) {
    state().program = name;
}
void set_level(Level level) {
    state().level = level;
}
Level level() {
    return state().level;
}
void set_format(Format format) {
    state().format = format;
}
void set_fd(int fd) {
    state().fd = fd;
}

Logger::Logger(uint64_t cid) : cid_(fmt::format("{:x}", cid)) {}

void Logger::write(Level level, std::string_view message, Fields fields) const {
    if (level <= state().level) write_line(level, cid_, message, fields);
}

void error(std::string_view message, Fields fields) {
    write_line(Level::error, {}, message, fields);
}
void warn(std::string_view message, Fields fields) {
    if (Level::warn <= state().level) write_line(Level::warn, {}, message, fields);
}
void info(std::string_view message, Fields fields) {
    if (Level::info <= state().level) write_line(Level::info, {}, message, fields);
}
void debug(std::string_view message, Fields fields) {
    if (Level::debug <= state().level) write_line(Level::debug, {}, message, fields);
}
void trace(std::string_view message, Fields fields) {
    if (Level::trace <= state().level) write_line(Level::trace, {}, message, fields);
}

uint64_t new_cid() {
    static uint64_t next = [] {
        auto now = std::chrono::system_clock::now().time_since_epoch();
        auto ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
        return (ms << 20) | (std::random_device{}() & 0xfffff);
    }();
    return ++next;
}

void fatal(std::string_view message, Fields fields) {
    write_line(Level::error, {}, message, fields);
    std::_Exit(1);
}

}  // namespace mox::log
