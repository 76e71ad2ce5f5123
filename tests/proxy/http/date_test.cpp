#include "proxy/http/date.h"

#include <doctest/doctest.h>

#include <string>

#include "base/random.h"

using namespace reef::proxy::http;

namespace {
constexpr std::int64_t kNow = 1'800'000'000;  // January 2027
constexpr std::int64_t kExample = 784111777;
}  // namespace

TEST_CASE("the three forms of a date are the same moment (RFC 9110 §5.6.7)") {
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == kExample);
  CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow) == kExample);
  CHECK(parse_date("Sun Nov  6 08:49:37 1994", kNow) == kExample);
  CHECK(parse_date("Sun Nov 16 08:49:37 1994", kNow) == kExample + 10 * 86400);
}

TEST_CASE("names of days, months and GMT are read in any letter case (RFC 9110 §5.6.7)") {
  CHECK(parse_date("sun, 06 NOV 1994 08:49:37 gmt", kNow) == kExample);
  CHECK(parse_date("SUNDAY, 06-nov-94 08:49:37 Gmt", kNow) == kExample);
}

TEST_CASE("a two-digit year more than 50 years ahead is of the past century (RFC 9110 §5.6.7)") {
  const auto same = [](std::string_view two_digits, std::string_view four_digits, std::int64_t now) {
    return parse_date(two_digits, now) == parse_date(four_digits, now);
  };
  CHECK(same("Wednesday, 06-Nov-76 08:49:37 GMT", "Fri, 06 Nov 2076 08:49:37 GMT", kNow));
  CHECK(same("Thursday, 14-Jan-77 00:00:00 GMT", "Thu, 14 Jan 2077 00:00:00 GMT", kNow));
  CHECK(same("Sunday, 17-Jan-77 00:00:00 GMT", "Mon, 17 Jan 1977 00:00:00 GMT", kNow));
  CHECK(same("Monday, 06-Nov-78 08:49:37 GMT", "Mon, 06 Nov 1978 08:49:37 GMT", kNow));
  constexpr std::int64_t kTurnOfCentury = 4'083'955'200;  // 1 June 2099
  CHECK(same("Saturday, 01-Jan-05 00:00:00 GMT", "Thu, 01 Jan 2105 00:00:00 GMT", kTurnOfCentury));
  CHECK(same("Saturday, 01-Jan-50 00:00:00 GMT", "Sat, 01 Jan 2050 00:00:00 GMT", kTurnOfCentury));
}

TEST_CASE("everything but the three forms is no date (RFC 9110 §5.6.7)") {
  for (const char* text : {"",
                           "0",
                           "-1",
                           "now",
                           "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sun, 06 Nov 1994 08:49:37 AEST",
                           "Sun, 06 Nov 1994 08:49:37",
                           "Sun 06 Nov 1994 08:49:37 GMT",
                           "Sun,  06 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov  1994 08:49:37 GMT",
                           "Sun, 06-Nov-1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08.49.37 GMT",
                           "Sun, 06 Nov 1994 8:49:37 GMT",
                           "Sun, 06 Nov 94 08:49:37 GMT",
                           "Sun, 6 Nov 1994 08:49:37 GMT",
                           "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:00 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT ",
                           "Sun, 06 Nov 1994 08:49:37 GMTX",
                           "Sun, 29 Feb 2100 00:00:00 GMT",
                           "Xyz, 06 Nov 1994 08:49:37 GMT",
                           "Sun Nov 6 08:49:37 1994",
                           "Sun Nov  6 08:49:37 94",
                           "Sun Nov  6 08:49:37 1994 GMT",
                           "Sun, Nov  6 08:49:37 1994",
                           "Sun, 06-Nov-94 08:49:37 GMT",
                           "Sunday, 06-Nov-1994 08:49:37 GMT",
                           "Sunday, 06 Nov 94 08:49:37 GMT",
                           "Sunday, 6-Nov-94 08:49:37 GMT",
                           "Sunday, 06-Nov-94 08:49:37 UTC",
                           "06 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 +0000",
                           "784111777"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_date(text, kNow).has_value());
  }
}

TEST_CASE("a formatted date is an IMF-fixdate and reads back as the same second") {
  CHECK(view(format_date(kExample)) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(view(format_date(0)) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(view(format_date(951782400)) == "Tue, 29 Feb 2000 00:00:00 GMT");
  CHECK(view(format_date(INT64_MAX)) == "Fri, 31 Dec 9999 23:59:59 GMT");
  CHECK(view(format_date(INT64_MIN)).substr(5) == "01 Jan 0000 00:00:00 GMT");
  reef::Random random(1994);
  for (int i = 0; i < 20000; ++i) {
    const auto second = static_cast<std::int64_t>(random.below(250'000'000'000)) - 30'000'000'000;
    const DateText text = format_date(second);
    REQUIRE(parse_date(view(text), kNow) == second);
  }
}
