#include "httpd/merge_metrics.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "common/text/ascii.h"

namespace mox::httpd {
namespace {

constexpr size_t kMaxLine = 4096;

/// All that is said of one metric.
struct Family {
    std::string help;
    std::string type;
    std::vector<std::string> samples;
};

bool is_name_start(char c) {
    return text::is_alpha(c) || c == '_' || c == ':';
}

/// Takes a metric's or label's name off the front; empty when there is none.
std::string_view take_name(std::string_view& rest) {
    if (rest.empty() || !is_name_start(rest[0])) return {};
    size_t end = 1;
    while (end < rest.size() && (is_name_start(rest[end]) || text::is_digit(rest[end]))) end++;
    std::string_view name = rest.substr(0, end);
    rest.remove_prefix(end);
    return name;
}

/// Takes a quoted label value off the front; false when it does not end or has a wrong escape.
bool take_quoted(std::string_view& rest) {
    if (!rest.starts_with('"')) return false;
    for (size_t i = 1; i < rest.size(); i++) {
        if (rest[i] == '"') {
            rest.remove_prefix(i + 1);
            return true;
        }
        if (rest[i] != '\\') continue;
        i++;
        if (i == rest.size() || (rest[i] != '\\' && rest[i] != '"' && rest[i] != 'n')) return false;
    }
    return false;
}

/// Takes "{...}" off the front, if there is one: what is inside, or nothing when it is malformed.
std::optional<std::string_view> take_labels(std::string_view& rest) {
    if (!rest.starts_with('{')) return std::string_view();
    rest.remove_prefix(1);
    std::string_view begin = rest;
    while (!rest.starts_with('}')) {
        if (take_name(rest).empty() || !rest.starts_with('=')) return std::nullopt;
        rest.remove_prefix(1);
        if (!take_quoted(rest)) return std::nullopt;
        if (rest.starts_with(','))
            rest.remove_prefix(1);
        else if (!rest.starts_with('}'))
            return std::nullopt;
    }
    std::string_view inside = begin.substr(0, begin.size() - rest.size());
    rest.remove_prefix(1);
    if (inside.ends_with(',')) inside.remove_suffix(1);
    return inside;
}

bool is_value(std::string_view s) {
    if (s == "NaN" || s == "+Inf" || s == "-Inf") return true;
    double number = 0;
    if (s.starts_with('+')) s.remove_prefix(1);
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), number);
    return error == std::errc{} && end == s.data() + s.size() && std::ranges::none_of(s, [](char c) {
               return text::is_alpha(c) && c != 'e' && c != 'E';  // "inf" and "nan" in other spellings
           });
}

struct Sample {
    std::string_view name;
    std::string_view labels;
    std::string_view value;
};

std::optional<Sample> parse_sample(std::string_view line) {
    Sample sample;
    sample.name = take_name(line);
    if (sample.name.empty()) return std::nullopt;
    auto labels = take_labels(line);
    if (!labels || !line.starts_with(' ')) return std::nullopt;
    sample.labels = *labels;
    sample.value = line.substr(1);
    if (!is_value(sample.value)) return std::nullopt;
    return sample;
}

bool is_printable(std::string_view line) {
    return std::ranges::none_of(line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

class Merger {
  public:
    void add(const proto::ProcessMetrics& process) {
        present_.clear();
        label_ = fmt::format("process=\"{}\"", escaped(process.process));
        std::string_view rest = process.text;
        while (!rest.empty()) {
            size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (line.size() <= kMaxLine && is_printable(line)) add_line(line);
        }
    }

    std::string text() const {
        std::string out;
        for (const auto& [name, family] : families_) {
            if (family.samples.empty()) continue;
            if (!family.help.empty()) out += fmt::format("# HELP {} {}\n", name, family.help);
            if (!family.type.empty()) out += fmt::format("# TYPE {} {}\n", name, family.type);
            for (const auto& sample : family.samples) out += sample + '\n';
        }
        return out;
    }

  private:
    static std::string escaped(std::string_view s) {
        std::string out;
        for (char c : s) {
            if (c == '"' || c == '\\') out += '\\';
            out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
        }
        return out;
    }

    void add_line(std::string_view line) {
        if (line.starts_with("# HELP ")) return add_comment(line.substr(7), &Family::help);
        if (line.starts_with("# TYPE ")) return add_comment(line.substr(7), &Family::type);
        auto sample = parse_sample(line);
        if (!sample) return;
        std::string labels = label_;
        if (!sample->labels.empty()) labels += fmt::format(",{}", sample->labels);
        std::string series = fmt::format("{}{{{}}}", sample->name, labels);
        if (!seen_.insert(series).second) return;
        families_[family_of(sample->name)].samples.push_back(fmt::format("{} {}", series, sample->value));
    }

    void add_comment(std::string_view rest, std::string Family::* field) {
        std::string_view name = take_name(rest);
        if (name.empty() || !rest.starts_with(' ')) return;
        present_ = name;
        std::string& text = families_[std::string(name)].*field;
        if (text.empty()) text = rest.substr(1);
    }

    /// Histograms and summaries have samples named like their metric with an ending.
    std::string family_of(std::string_view sample) const {
        for (std::string_view ending : {"_bucket", "_sum", "_count"})
            if (!present_.empty() && sample.size() == present_.size() + ending.size() && sample.starts_with(present_) &&
                sample.ends_with(ending))
                return present_;
        return std::string(sample);
    }

    std::map<std::string, Family> families_;
    std::set<std::string> seen_;
    std::string present_;  // metric of the last comment
    std::string label_;
};

}  // namespace

std::string merge_metrics(const std::vector<proto::ProcessMetrics>& processes) {
    Merger merger;
    for (const auto& process : processes) merger.add(process);
    return merger.text();
}

}  // namespace mox::httpd
