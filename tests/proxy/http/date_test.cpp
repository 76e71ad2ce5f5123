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

TEST_CASE("names of days, months and GMT are read in any letter case") {
  CHECK(parse_date("sun, 06 NOV 1994 08:49:37 gmt", kNow) == kExample);
  CHECK(parse_date("SUNDAY, 06-nov-94 08:49:37 Gmt", kNow) == kExample);
}

TEST_CASE("a two-digit year more than 50 years ahead is of the past century (RFC 9110 §5.6.7)") {
  CHECK(parse_date("Sunday, 06-Nov-77 08:49:37 GMT", kNow) ==
        parse_date("Sun, 06 Nov 2077 08:49:37 GMT", kNow));
  CHECK(parse_date("Sunday, 06-Nov-78 08:49:37 GMT", kNow) ==
        parse_date("Sun, 06 Nov 1978 08:49:37 GMT", kNow));
}

TEST_CASE("everything else is no date") {
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
