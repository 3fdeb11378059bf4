// Dates of mail: the Date header, IMAP's INTERNALDATE and IMAP's search dates.
//
// Pure functions. A DateTime is a point in time and the zone it was written in, so it can be written back the same.
// Years run from 1 to 9999; what lies outside does not parse. RFCs: 5322 3.3 and 4.3, 3501 9 (date, date-time).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mox::mail {

struct DateTime {
    int64_t unix_seconds = 0;  // since 1970-01-01 00:00:00 UTC, leap seconds not counted
    int16_t zone_minutes = 0;  // east of UTC

    friend bool operator==(const DateTime&, const DateTime&) = default;
};

/// A day without time or zone, as IMAP SEARCH has them.
struct Date {
    int16_t year = 0;
    uint8_t month = 0;  // 1 to 12
    uint8_t day = 0;    // 1 to 31

    friend auto operator<=>(const Date&, const Date&) = default;
};

/// A Date header value (RFC 5322 3.3), tolerant: comments and missing weekday, years of two or three digits and
/// obsolete zones (RFC 5322 4.3), dashes between day, month and year, no seconds, no zone (taken as UTC).
std::optional<DateTime> parse_date(std::string_view text);
/// `Wed, 17 Jul 1996 02:44:25 -0700`; out of range times are clamped to the years 1 to 9999.
std::string format_date(DateTime time);

/// IMAP date-time without its quotes: `17-Jul-1996 02:44:25 -0700`, day padded with a space (RFC 3501 9). Strict.
std::optional<DateTime> parse_internal_date(std::string_view text);
/// The same, without quotes.
std::string format_internal_date(DateTime time);

/// IMAP date without quotes: `1-Feb-1994` (RFC 3501 9). Strict.
std::optional<Date> parse_imap_date(std::string_view text);
/// The day on the wall at the zone of `time`; SENTON and friends compare this (RFC 3501 6.4.4: zone disregarded).
Date day_of(DateTime time);
/// Seconds of the day's start in UTC.
int64_t unix_seconds(Date day);

}  // namespace mox::mail
