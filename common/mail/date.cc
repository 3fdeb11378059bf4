#include "common/mail/date.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fmt/format.h>

#include "common/mail/scanner.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr int64_t kMinTime = -62135596800;  // 0001-01-01
constexpr int64_t kMaxTime = 253402300799;  // 9999-12-31

struct Fields {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0;
};

std::optional<DateTime> to_time(const Fields& f) {
    std::chrono::year_month_day day{std::chrono::year(f.year), std::chrono::month(static_cast<unsigned>(f.month)),
                                    std::chrono::day(static_cast<unsigned>(f.day))};
    if (!day.ok() || f.year < 1 || f.year > 9999) return std::nullopt;
    if (f.hour > 23 || f.minute > 59 || f.second > 60) return std::nullopt;  // RFC 5322 3.3: 60 is a leap second
    int64_t days = std::chrono::sys_days(day).time_since_epoch().count();
    int64_t local = days * 86400 + f.hour * 3600 + f.minute * 60 + f.second;
    return DateTime{local - f.zone * 60, static_cast<int16_t>(f.zone)};
}

// The month's number from its first three letters, 0 if unknown.
int find_month(std::string_view name) {
    if (name.size() < 3) return 0;
    for (size_t i = 0; i < kMonths.size(); ++i) {
        if (text::iequals(name.substr(0, 3), kMonths[i])) return static_cast<int>(i) + 1;
    }
    return 0;
}

std::optional<int> take_number(Scanner& in, size_t min_digits, size_t max_digits) {
    auto digits = in.take_while(text::is_digit);
    if (digits.size() < min_digits || digits.size() > max_digits) return std::nullopt;
    return static_cast<int>(*text::parse_number<unsigned>(digits));
}

// RFC 5322 4.3: names of zones; single letters mean nothing reliable and count as UTC, as does what is unknown.
int named_zone(std::string_view name) {
    struct Zone {
        std::string_view name;
        int hours;
    };
    constexpr std::array<Zone, 8> kZones = {
        {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6}, {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}}};
    for (const auto& zone : kZones) {
        if (text::iequals(name, zone.name)) return zone.hours * 60;
    }
    return 0;
}

std::optional<int> take_offset(Scanner& in) {
    int sign = in.peek() == '-' ? -1 : 1;
    in.skip();
    auto number = take_number(in, 4, 4);
    if (!number || *number % 100 > 59 || *number / 100 > 23) return std::nullopt;
    return sign * (*number / 100 * 60 + *number % 100);
}

int take_zone(Scanner& in) {
    if (in.peek() == '+' || in.peek() == '-') {
        auto rest = in.rest().substr(1);
        // DEVIATES RFC 5322 3.3: +hh:mm and broken zones exist; a time off by the zone beats no time
        if (rest.size() >= 5 && rest[2] == ':') {
            auto hours = text::parse_number<unsigned>(rest.substr(0, 2));
            auto minutes = text::parse_number<unsigned>(rest.substr(3, 2));
            if (!hours || !minutes || *hours > 23 || *minutes > 59) return 0;
            return (in.peek() == '-' ? -1 : 1) * static_cast<int>(*hours * 60 + *minutes);
        }
        return take_offset(in).value_or(0);
    }
    return named_zone(in.take_while(text::is_alpha));
}

// hh:mm[:ss], blanks around the colons allowed (RFC 5322 4.3).
bool take_clock(Scanner& in, Fields& f) {
    auto hour = take_number(in, 1, 2);
    in.skip_cfws();
    // DEVIATES RFC 5322 3.3: some write dots between hours, minutes and seconds
    if (!hour || (!in.accept(':') && !in.accept('.'))) return false;
    in.skip_cfws();
    auto minute = take_number(in, 1, 2);
    if (!minute) return false;
    f.hour = *hour;
    f.minute = *minute;
    in.skip_cfws();
    if (!in.accept(':') && !in.accept('.')) return true;
    in.skip_cfws();
    auto second = take_number(in, 1, 2);
    if (!second) return false;
    f.second = *second;
    in.take_while([](char c) { return c == '.' || text::is_digit(c); });  // fractions of a second
    return true;
}

void skip_separator(Scanner& in) {
    in.skip_cfws();
    while (in.accept('-') || in.accept(',') || in.accept('.')) in.skip_cfws();
}

std::optional<int> take_year(Scanner& in) {
    auto digits = in.take_while(text::is_digit);
    auto number = text::parse_number<unsigned>(digits);
    if (!number || digits.size() < 2 || digits.size() > 4) return std::nullopt;
    auto year = static_cast<int>(*number);
    if (digits.size() == 2) return year < 50 ? year + 2000 : year + 1900;  // RFC 5322 4.3
    return digits.size() == 3 ? year + 1900 : year;                        // RFC 5322 4.3
}

// Mon Jan  2 15:04:05 2006, as asctime() writes it. DEVIATES RFC 5322 3.3: old senders do.
std::optional<DateTime> parse_asctime(Scanner& in, Fields f) {
    auto day = take_number(in, 1, 2);
    in.skip_cfws();
    if (!day || !take_clock(in, f)) return std::nullopt;
    in.skip_cfws();
    if (text::is_alpha(in.peek()) || in.peek() == '+' || in.peek() == '-') f.zone = take_zone(in);
    in.skip_cfws();
    auto year = take_year(in);
    if (!year) return std::nullopt;
    f.day = *day;
    f.year = *year;
    return to_time(f);
}

struct Wall {
    std::chrono::year_month_day day;
    int weekday = 0;
    int hour = 0, minute = 0, second = 0;
};

Wall wall_of(DateTime time) {
    int64_t local = std::clamp(time.unix_seconds, kMinTime, kMaxTime) + time.zone_minutes * 60;
    local = std::clamp(local, kMinTime, kMaxTime);
    auto days = std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(local)));
    auto rest = static_cast<int>(local - std::chrono::seconds(days.time_since_epoch()).count());
    return {days, static_cast<int>(std::chrono::weekday(days).c_encoding()), rest / 3600, rest / 60 % 60, rest % 60};
}

std::string format_zone(int minutes) {
    int magnitude = minutes < 0 ? -minutes : minutes;
    return fmt::format("{}{:02}{:02}", minutes < 0 ? '-' : '+', magnitude / 60 % 100, magnitude % 60);
}

}  // namespace

std::optional<DateTime> parse_date(std::string_view text) {
    Scanner in(text);
    Fields f;
    in.skip_cfws();
    if (text::is_alpha(in.peek())) {
        auto name = in.take_while(text::is_alpha);
        skip_separator(in);
        f.month = find_month(name);
        if (f.month == 0 && text::is_alpha(in.peek())) f.month = find_month(in.take_while(text::is_alpha));
        if (f.month != 0) {
            in.skip_cfws();
            return parse_asctime(in, f);
        }
    }
    auto day = take_number(in, 1, 2);
    skip_separator(in);
    f.month = find_month(in.take_while(text::is_alpha));
    skip_separator(in);
    auto year = take_year(in);
    skip_separator(in);
    if (!day || f.month == 0 || !year || !take_clock(in, f)) return std::nullopt;
    f.day = *day;
    f.year = *year;
    in.skip_cfws();
    f.zone = take_zone(in);
    return to_time(f);
}

std::string format_date(DateTime time) {
    auto wall = wall_of(time);
    return fmt::format("{}, {} {} {:04} {:02}:{:02}:{:02} {}", kDays[static_cast<size_t>(wall.weekday)],
                       static_cast<unsigned>(wall.day.day()), kMonths[static_cast<unsigned>(wall.day.month()) - 1],
                       static_cast<int>(wall.day.year()), wall.hour, wall.minute, wall.second,
                       format_zone(time.zone_minutes));
}

std::optional<DateTime> parse_internal_date(std::string_view text) {
    // RFC 3501 9: date-day-fixed "-" date-month "-" date-year SP time SP zone, 26 characters
    if (text.size() != 26) return std::nullopt;
    Scanner in(text);
    Fields f;
    auto number = [&](size_t digits, char after) -> std::optional<int> {
        auto value = take_number(in, digits, digits);
        return value && (after == '\0' || in.accept(after)) ? value : std::nullopt;
    };
    auto day = in.accept(' ') ? number(1, '-') : number(2, '-');
    auto name = in.take_while(text::is_alpha);
    f.month = name.size() == 3 && in.accept('-') ? find_month(name) : 0;
    auto year = number(4, ' ');
    auto hour = number(2, ':');
    auto minute = number(2, ':');
    auto second = number(2, ' ');
    if (!day || f.month == 0 || !year || !hour || !minute || !second) return std::nullopt;
    if (in.peek() != '+' && in.peek() != '-') return std::nullopt;
    auto zone = take_offset(in);
    if (!zone || !in.done()) return std::nullopt;
    f = {*year, f.month, *day, *hour, *minute, *second, *zone};
    return to_time(f);
}

std::string format_internal_date(DateTime time) {
    auto wall = wall_of(time);
    return fmt::format("{:2}-{}-{:04} {:02}:{:02}:{:02} {}", static_cast<unsigned>(wall.day.day()),
                       kMonths[static_cast<unsigned>(wall.day.month()) - 1], static_cast<int>(wall.day.year()),
                       wall.hour, wall.minute, wall.second, format_zone(time.zone_minutes));
}

std::optional<Date> parse_imap_date(std::string_view text) {
    Scanner in(text);
    auto day = take_number(in, 1, 2);
    if (!day || !in.accept('-')) return std::nullopt;
    auto name = in.take_while(text::is_alpha);
    auto month = name.size() == 3 ? find_month(name) : 0;
    if (month == 0 || !in.accept('-')) return std::nullopt;
    auto year = take_number(in, 4, 4);
    if (!year || !in.done()) return std::nullopt;
    Fields f{*year, month, *day};
    if (!to_time(f)) return std::nullopt;
    return Date{static_cast<int16_t>(*year), static_cast<uint8_t>(month), static_cast<uint8_t>(*day)};
}

Date day_of(DateTime time) {
    auto day = wall_of(time).day;
    return {static_cast<int16_t>(static_cast<int>(day.year())),
            static_cast<uint8_t>(static_cast<unsigned>(day.month())),
            static_cast<uint8_t>(static_cast<unsigned>(day.day()))};
}

int64_t unix_seconds(Date day) {
    Fields f{day.year, day.month, day.day};
    auto time = to_time(f);
    return time ? time->unix_seconds : 0;
}

}  // namespace mox::mail
