#include "proxy/http/date.h"

#include <algorithm>

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view kLongDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kDaySeconds = 86400;
constexpr std::int64_t kFiftyYears =
    std::int64_t{50} * 31'556'952;  // of the calendar's mean length, in seconds

// Howard Hinnant's civil-calendar algorithms: days since 1970-01-01 of a proleptic Gregorian date, and back.
constexpr std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct Civil {
  std::int64_t year;
  int month, day;
};
constexpr Civil civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

constexpr std::int64_t kEarliest = days_from_civil(0, 1, 1) * kDaySeconds;
constexpr std::int64_t kLatest = days_from_civil(10000, 1, 1) * kDaySeconds - 1;

// Takes fixed pieces from the front of a text; sticky failure.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view expected) {
    if (ok_ && starts_with_ignoring_case(rest_, expected)) {
      rest_.remove_prefix(expected.size());
    } else {
      ok_ = false;
    }
  }
  int digits(std::size_t count) {
    if (!ok_ || rest_.size() < count || !is_digits(rest_.substr(0, count))) {
      ok_ = false;
      return 0;
    }
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(count);
    return value;
  }
  // asctime's day of the month: two digits, or a blank and one.
  int blank_padded_day() {
    if (rest_.starts_with(' ')) {
      rest_.remove_prefix(1);
      return digits(1);
    }
    return digits(2);
  }
  template <std::size_t N>
  int one_of(const std::string_view (&names)[N]) {
    for (std::size_t i = 0; ok_ && i < N; ++i) {
      if (starts_with_ignoring_case(rest_, names[i])) {
        rest_.remove_prefix(names[i].size());
        return static_cast<int>(i);
      }
    }
    ok_ = false;
    return 0;
  }
  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Parts {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;  // month 0..11
};

void scan_time(Scanner& scan, Parts& parts) {
  parts.hour = scan.digits(2);
  scan.literal(":");
  parts.minute = scan.digits(2);
  scan.literal(":");
  parts.second = scan.digits(2);
}

bool scan_imf(std::string_view text, Parts& parts) {
  Scanner scan(text);
  scan.one_of(kDays);
  scan.literal(", ");
  parts.day = scan.digits(2);
  scan.literal(" ");
  parts.month = scan.one_of(kMonths);
  scan.literal(" ");
  parts.year = scan.digits(4);
  scan.literal(" ");
  scan_time(scan, parts);
  scan.literal(" GMT");
  return scan.at_end();
}

bool scan_rfc850(std::string_view text, Parts& parts) {
  Scanner scan(text);
  scan.one_of(kLongDays);
  scan.literal(", ");
  parts.day = scan.digits(2);
  scan.literal("-");
  parts.month = scan.one_of(kMonths);
  scan.literal("-");
  parts.year = scan.digits(2);
  scan.literal(" ");
  scan_time(scan, parts);
  scan.literal(" GMT");
  return scan.at_end();
}

bool scan_asctime(std::string_view text, Parts& parts) {
  Scanner scan(text);
  scan.one_of(kDays);
  scan.literal(" ");
  parts.month = scan.one_of(kMonths);
  scan.literal(" ");
  parts.day = scan.blank_padded_day();
  scan.literal(" ");
  scan_time(scan, parts);
  scan.literal(" ");
  parts.year = scan.digits(4);
  return scan.at_end();
}

bool is_date(const Parts& parts) {
  constexpr int kMonthDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = parts.year % 4 == 0 && (parts.year % 100 != 0 || parts.year % 400 == 0);
  const int last_day = kMonthDays[parts.month] + (parts.month == 1 && leap ? 1 : 0);
  // 60 is a leap second (RFC 9110 §5.6.7).
  return parts.day >= 1 && parts.day <= last_day && parts.hour <= 23 && parts.minute <= 59 &&
         parts.second <= 60;
}

std::int64_t to_unix(const Parts& parts) {
  return days_from_civil(parts.year, parts.month + 1, parts.day) * kDaySeconds +
         std::int64_t{parts.hour} * 3600 + std::int64_t{parts.minute} * 60 + parts.second;
}

}  // namespace

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) noexcept {
  Parts parts;
  if (scan_rfc850(text, parts)) {
    // The latest year with these two digits that is not more than 50 years ahead.
    now = std::clamp(now, kEarliest, kLatest);
    const std::int64_t this_year = civil_from_days(now / kDaySeconds).year;
    parts.year += static_cast<int>(this_year / 100 * 100) + 100;
    while (to_unix(parts) > now + kFiftyYears) parts.year -= 100;
    if (parts.year < 0) return std::nullopt;
  } else if (!scan_imf(text, parts) && !scan_asctime(text, parts)) {
    return std::nullopt;
  }
  if (!is_date(parts)) return std::nullopt;
  return to_unix(parts);
}

DateText format_date(std::int64_t unix_seconds) noexcept {
  unix_seconds = std::clamp(unix_seconds, kEarliest, kLatest);
  std::int64_t days = unix_seconds / kDaySeconds;
  std::int64_t second_of_day = unix_seconds % kDaySeconds;
  if (second_of_day < 0) {
    second_of_day += kDaySeconds;
    --days;
  }
  const Civil civil = civil_from_days(days);
  const std::int64_t weekday = ((days + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday

  DateText out;
  char* at = out.data();
  const auto text = [&at](std::string_view part) { at = std::copy(part.begin(), part.end(), at); };
  const auto two = [&at](std::int64_t value) {
    *at++ = static_cast<char>('0' + value / 10);
    *at++ = static_cast<char>('0' + value % 10);
  };
  text(kDays[weekday]);
  text(", ");
  two(civil.day);
  text(" ");
  text(kMonths[civil.month - 1]);
  text(" ");
  two(civil.year / 100);
  two(civil.year % 100);
  text(" ");
  two(second_of_day / 3600);
  text(":");
  two(second_of_day / 60 % 60);
  text(":");
  two(second_of_day % 60);
  text(" GMT");
  return out;
}

}  // namespace reef::proxy::http
