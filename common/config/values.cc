// Single words of the configuration to values. IDNA comes from libidn2, IP addresses from the C library.
#include "common/config/values.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <idn2.h>
#include <memory>
#include <ranges>

#include "common/text/ascii.h"

namespace mox::config {
namespace {

constexpr size_t kMaxName = 64;
constexpr size_t kMaxPath = 1024;
constexpr size_t kMaxMailbox = 255;
constexpr size_t kMaxDomainInput = 1024;  // in UTF-8, before conversion
constexpr std::string_view kSizeUnits = "KMGT";

struct Unit {
    char letter;
    uint64_t seconds;
};
constexpr std::array<Unit, 4> kDurationUnits{{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
constexpr uint64_t kMaxDuration = uint64_t{3650} * 86400;

bool is_label(std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) { return text::is_alnum(c) || c == '-'; });  // RFC 1123 2.1
}

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;  // RFC 1035 2.3.4
    std::string_view last;
    for (auto part : std::views::split(name, '.')) {
        last = std::string_view(part);
        if (!is_label(last)) return false;
    }
    return !std::ranges::all_of(last, text::is_digit);  // RFC 1123 2.1: else it would look like an IPv4 address
}

/// RFC 5322 3.2.3, and RFC 6531 3.3 for what is beyond ASCII.
bool is_atext(char c) {
    constexpr std::string_view kMarks = "!#$%&'*+-/=?^_`{|}~";
    return text::is_alnum(c) || kMarks.contains(c) || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view s) {
    uint64_t factor = 1;
    if (!s.empty()) {
        if (size_t unit = kSizeUnits.find(s.back()); unit != std::string_view::npos) {
            factor = uint64_t{1} << (10 * (unit + 1));
            s.remove_suffix(1);
        }
    }
    auto number = text::parse_number<uint64_t>(s);
    if (!number || *number > UINT64_MAX / factor) return std::nullopt;
    return *number * factor;
}

std::string write_duration(std::chrono::seconds duration) {
    int64_t seconds = duration.count();
    if (seconds != 0 && seconds % 86400 == 0) return fmt::format("{}d", seconds / 86400);
    if (seconds != 0 && seconds % 3600 == 0) return fmt::format("{}h", seconds / 3600);
    if (seconds != 0 && seconds % 60 == 0) return fmt::format("{}m", seconds / 60);
    return fmt::format("{}s", seconds);
}

std::string write_size(uint64_t size) {
    std::string unit;
    for (char letter : kSizeUnits) {
        if (size == 0 || size % 1024 != 0) break;
        size /= 1024;
        unit = letter;
    }
    return fmt::format("{}{}", size, unit);
}

std::optional<std::chrono::seconds> parse_duration(std::string_view s) {
    if (s.empty()) return std::nullopt;
    uint64_t total = 0;
    for (const Unit& unit : kDurationUnits) {
        size_t digits = std::min(s.find_first_not_of("0123456789"), s.size());
        if (digits == s.size() || s[digits] != unit.letter) continue;
        auto number = text::parse_number<uint64_t>(s.substr(0, digits));
        if (!number || *number > kMaxDuration) return std::nullopt;
        total += *number * unit.seconds;
        s.remove_prefix(digits + 1);
    }
    if (!s.empty() || total > kMaxDuration) return std::nullopt;
    return std::chrono::seconds(total);
}

std::optional<std::string> parse_domain_name(std::string_view s) {
    if (s.size() > kMaxDomainInput) return std::nullopt;
    std::string name = text::to_lower(s);
    if (!text::is_ascii(s)) {
        char* converted = nullptr;
        int rc = idn2_to_ascii_8z(name.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        std::unique_ptr<char, void (*)(void*)> owner(converted, idn2_free);
        if (rc != IDN2_OK) return std::nullopt;  // RFC 5891 4.2
        name = text::to_lower(converted);
    }
    if (!is_host_name(name)) return std::nullopt;
    return name;
}

std::optional<std::string> parse_ip(std::string_view s) {
    if (s.size() >= INET6_ADDRSTRLEN) return std::nullopt;
    std::string text(s);
    int family = is_ipv6(s) ? AF_INET6 : AF_INET;
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (inet_pton(family, text.c_str(), bytes.data()) != 1) return std::nullopt;
    std::array<char, INET6_ADDRSTRLEN> out{};
    return inet_ntop(family, bytes.data(), out.data(), out.size());
}

bool is_localpart(std::string_view s) {
    if (s.empty() || s.size() > 64) return false;  // RFC 5321 4.5.3.1.1
    for (auto part : std::views::split(s, '.')) {
        std::string_view atom(part);
        if (atom.empty() || !std::ranges::all_of(atom, is_atext)) return false;
    }
    return true;
}

bool is_name(std::string_view s) {
    if (s.empty() || s.size() > kMaxName || s.front() == '.' || s.front() == '-') return false;
    return std::ranges::all_of(s, [](char c) { return text::is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<std::string> parse_mailbox(std::string_view s) {
    if (s.empty() || s.size() > kMaxMailbox || s.front() == '#') return std::nullopt;
    auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::ranges::any_of(s, is_control)) return std::nullopt;
    for (auto part : std::views::split(s, '/')) {
        std::string_view name(part);
        if (name.empty() || name == "." || name == "..") return std::nullopt;
    }
    size_t first = std::min(s.find('/'), s.size());
    if (!text::iequals(s.substr(0, first), "inbox")) return std::string(s);
    return "Inbox" + std::string(s.substr(first));  // RFC 9051 5.1
}

bool is_path(std::string_view s) {
    return s.starts_with('/') && s.size() <= kMaxPath;
}

}  // namespace mox::config
