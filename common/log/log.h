// Structured log lines on standard error: one line, one write, key=value or JSON.
//
// A line has a time, a level, the program, a message that is the same text every time, and fields that vary. Every line
// of a session carries its connection id ("cid"): sessions hold a Logger made with it. Never put a password, a token or
// message content in a field. Lines below the process's level cost one comparison.
#pragma once

#include <concepts>
#include <cstdint>
#include <fmt/format.h>
#include <initializer_list>
#include <string>
#include <string_view>

namespace mox::log {

enum class Level : uint8_t { error, warn, info, debug, trace, kEnd };
enum class Format : uint8_t { text, json, kEnd };

/// The name of a level as written in configuration and on the command line.
std::string_view to_string(Level level);
/// Parses a level's name; false when it is none of them.
bool parse_level(std::string_view name, Level& out);

/// One key and its value, formatted at once (values may be temporaries).
struct Field {
    std::string_view key;
    std::string value;
    bool quoted;

    template <std::integral T>
    Field(std::string_view k, T v) : key(k), value(fmt::to_string(v)), quoted(false) {}
    Field(std::string_view k, double v) : key(k), value(fmt::format("{:.3f}", v)), quoted(false) {}
    Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
    Field(std::string_view k, std::string_view v) : key(k), value(v), quoted(true) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v), quoted(true) {}
    Field(std::string_view k, const char* v) : key(k), value(v), quoted(true) {}
};
using Fields = std::initializer_list<Field>;

/// Names the process in every line; call once, first thing in main.
void set_program(std::string_view name);
void set_level(Level level);
Level level();
void set_format(Format format);
/// Where lines go; standard error unless told. The descriptor stays the caller's.
void set_fd(int fd);

/// Writes lines that all carry the same leading field, normally cid. Cheap to copy.
class Logger {
  public:
    Logger() = default;
    /// A logger whose lines carry cid=<id in hex>.
    explicit Logger(uint64_t cid);

    void error(std::string_view message, Fields fields = {}) const { write(Level::error, message, fields); }
    void warn(std::string_view message, Fields fields = {}) const { write(Level::warn, message, fields); }
    void info(std::string_view message, Fields fields = {}) const { write(Level::info, message, fields); }
    void debug(std::string_view message, Fields fields = {}) const { write(Level::debug, message, fields); }
    void trace(std::string_view message, Fields fields = {}) const { write(Level::trace, message, fields); }

    const std::string& cid() const { return cid_; }

  private:
    void write(Level level, std::string_view message, Fields fields) const;
    std::string cid_;
};

void error(std::string_view message, Fields fields = {});
void warn(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void debug(std::string_view message, Fields fields = {});
void trace(std::string_view message, Fields fields = {});

/// A number for a new connection or operation: ascending in this process, and different between processes and restarts
/// with great likelihood (starts at the time in milliseconds, shifted, plus some random bits).
uint64_t new_cid();

/// The process is wrong (impossible state, sandbox not applied): logs and ends it with status 1. moxd restarts it with
/// back-off. Never called for what a peer sent.
[[noreturn]] void fatal(std::string_view message, Fields fields = {});

}  // namespace mox::log
