#include "moxctl/output.h"

#include <algorithm>
#include <fmt/format.h>

namespace mox::moxctl {

void Output::say(std::string_view line) {
    if (format == Format::text) out_ << printable(line) << '\n';
}

void Output::say(std::string_view line, const Json& value) {
    if (format == Format::text)
        say(line);
    else
        json(value);
}

void Output::raw(std::string_view text) {
    out_ << text;
}

void Output::json(const Json& value) {
    out_ << to_text(value) << '\n';
}

void Output::complain(std::string_view text) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    for (;;) {
        size_t end = std::min(text.find('\n'), text.size());
        errors_ << printable(text.substr(0, end)) << '\n';
        if (end == text.size()) return;
        text.remove_prefix(end + 1);
    }
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
    for (const auto& column : columns_) widths_.push_back(text_width(column.heading));
}

void Table::add(std::vector<std::string> cells) {
    for (size_t i = 0; i < columns_.size(); i++) {
        cells[i] = cells[i].empty() ? "-" : printable(cells[i]);
        widths_[i] = std::max(widths_[i], text_width(cells[i]));
    }
    rows_.push_back(std::move(cells));
}

std::string Table::take() {
    std::string out;
    if (!headed_) {
        std::vector<std::string> headings;
        for (const auto& column : columns_) headings.push_back(column.heading);
        out += line(headings);
        headed_ = true;
    }
    for (const auto& row : rows_) out += line(row);
    rows_.clear();
    return out;
}

std::string Table::line(const std::vector<std::string>& cells) const {
    std::string out;
    for (size_t i = 0; i < columns_.size(); i++) {
        if (i > 0) out += "  ";
        std::string padding(widths_[i] - text_width(cells[i]), ' ');
        if (columns_[i].align == Align::right)
            out += padding + cells[i];
        else if (i + 1 < columns_.size())
            out += cells[i] + padding;
        else
            out += cells[i];
    }
    return out + '\n';
}

std::string human_size(uint64_t bytes) {
    if (bytes < 1024) return fmt::to_string(bytes);
    constexpr std::string_view kUnits = "KMGTPE";
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    // 1023.95 would be shown as 1024.0.
    for (value /= 1024; value >= 1023.95 && unit + 1 < kUnits.size(); unit++) value /= 1024;
    return value < 9.95 ? fmt::format("{:.1f}{}", value, kUnits[unit]) : fmt::format("{:.0f}{}", value, kUnits[unit]);
}

std::string human_duration(std::chrono::seconds span) {
    int64_t s = std::max<int64_t>(span.count(), 0);
    if (s < 60) return fmt::format("{}s", s);
    if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
    if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
    return fmt::format("{}d{:02}h", s / 86400, s % 86400 / 3600);
}

std::string local_time(int64_t seconds) {
    time_t time = seconds;
    tm local{};
    char text[32] = "";
    if (localtime_r(&time, &local) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    return text;
}

std::string local_day(int64_t seconds) {
    return local_time(seconds).substr(0, std::string_view("2026-03-01").size());
}

std::string printable(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        auto byte = static_cast<unsigned char>(text[i]);
        // U+0080 to U+009F are control characters, too: C2 80 to C2 9F.
        bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (c1) i++;
        out += c1 || byte < 0x20 || byte == 0x7f ? '?' : text[i];
    }
    return out;
}

size_t text_width(std::string_view text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string to_text(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mox::moxctl
