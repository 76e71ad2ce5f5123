// Freshness lifetime (RFC 9111 §4.2.1, §4.2.2) and age (§4.2.3).
#include <doctest/doctest.h>

#include "proxy/rules/reuse.h"
#include "proxy/rules/status.h"
#include "proxy/rules/storing.h"
#include "tests/proxy/rules/exchange.h"

using namespace reef::proxy::rules;

namespace {

using Fields = std::initializer_list<std::pair<std::string, std::string>>;

Options site() { return Options::site(); }
Options coralized() { return Options::coralized(); }

milliseconds lifetime(Fields fields, Options options = site(), int status = 200) {
  const auto policy = Exchange::with(fields, status).decide(options);
  REQUIRE(policy.has_value());
  return policy->lifetime;
}

bool is_heuristic(Fields fields) { return Exchange::with(fields).decide()->has(CachePolicy::kHeuristic); }

milliseconds age_on_arrival(Fields fields, milliseconds took = 0ms) {
  return corrected_initial_age(Exchange::with(fields).response(), {kReceived - took, kReceived, false});
}

Reuse reuse_at_once(Fields fields) {
  const auto policy = Exchange::with(fields).decide();
  REQUIRE(policy.has_value());
  return decide_reuse(*policy, {}, kReceived, site()).reuse;
}

std::string age_text(const CachePolicy& policy, reef::WallTime now) {
  std::string out;
  append_age(out, current_age(policy, now));
  return out;
}

}  // namespace

TEST_CASE("s-maxage beats max-age in both directions, in any order, on one line or two (RFC 9111 §4.2.1)") {
  CHECK(lifetime({{"Cache-Control", "max-age=5, s-maxage=60"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=60, max-age=5"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=60, s-maxage=5"}}) == 5s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=5"}, {"Cache-Control", "max-age=60"}}) == 5s);
  CHECK(lifetime({{"Cache-Control", "max-age=5"}, {"Cache-Control", "s-maxage=60"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=x, max-age=60"}, {"ETag", "x"}}) == 0s);
}

TEST_CASE("max-age beats Expires, also a past or invalid one (RFC 9111 §5.3)") {
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", date_text(-100)}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", "0"}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", date_text(1000)}}) == 60s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=60"}, {"Expires", date_text(-100)}}) == 60s);
}

TEST_CASE("max-age=0 with a future Expires is stale (RFC 9111 §5.3)") {
  CHECK(lifetime({{"Cache-Control", "max-age=0"}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(reuse_at_once({{"Cache-Control", "max-age=0"}, {"Expires", date_text(1000)}}) ==
        Reuse::must_validate);
}

TEST_CASE("Expires is compared with the response's Date, not with our clock (RFC 9111 §4.2.1)") {
  CHECK(lifetime({{"Date", date_text(0)}, {"Expires", date_text(100)}}) == 100s);
  CHECK(lifetime({{"Date", date_text(2000)}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Date", date_text(1000)}, {"Expires", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Date", date_text(-2000)}, {"Expires", date_text(-1000)}}) == 1000s);
}

TEST_CASE("Expires and Date are read in all three forms (RFC 9110 §5.6.7)") {
  // kReceivedUnix is Fri, 15 Jan 2027 08:00:00 GMT.
  CHECK(date_text(0) == "Fri, 15 Jan 2027 08:00:00 GMT");
  for (const char* expires :
       {"Fri, 15 Jan 2027 08:01:40 GMT", "Friday, 15-Jan-27 08:01:40 GMT", "Fri Jan 15 08:01:40 2027"}) {
    for (const char* date :
         {"Fri, 15 Jan 2027 08:00:00 GMT", "Friday, 15-Jan-27 08:00:00 GMT", "Fri Jan 15 08:00:00 2027"}) {
      CHECK(lifetime({{"Expires", expires}, {"Date", date}}) == 100s);
    }
  }
}

TEST_CASE(
    "an invalid Expires, above all 0, is already expired; of several the first counts (RFC 9111 §5.3)") {
  for (const char* value : {"0", "-1", "", "tomorrow", "Fri, 15 Jan 2027 08:01:40 UTC",
                            "Fri, 15 Jan 2027 8:01:40 GMT", "Fri 15 Jan 2027 08:01:40 GMT"}) {
    CAPTURE(value);
    CHECK(lifetime({{"Expires", value}, {"Last-Modified", date_text(-1000)}}) == 0s);
    CHECK_FALSE(is_heuristic({{"Expires", value}, {"Last-Modified", date_text(-1000)}}));
  }
  CHECK(lifetime({{"Expires", date_text(10)}, {"Expires", date_text(1000)}}) == 10s);
  CHECK(lifetime({{"Expires", "0"}, {"Expires", date_text(1000)}}) == 0s);
}

TEST_CASE("an invalid or missing Date is the time of receipt (RFC 9110 §6.6.1)") {
  CHECK(lifetime({{"Date", "yesterday"}, {"Expires", date_text(100)}}) == 100s);
  CHECK(lifetime({{"Expires", date_text(100)}}) == 100s);
  CHECK(age_on_arrival({{"Date", "yesterday"}}) == 0s);
  CHECK(age_on_arrival({}) == 0s);
}

TEST_CASE("a lifetime that overflows anything is clamped, and fresh (RFC 9111 §1.2.2)") {
  CHECK(lifetime({{"Cache-Control", "max-age=99999999999999999999"}}) == seconds{2147483648});
  const auto policy = *Exchange::with({{"Cache-Control", "max-age=99999999999999999999"}}).decide();
  CHECK(decide_reuse(policy, {}, kReceived + 1h, site()).reuse == Reuse::fresh);
}

TEST_CASE("no lifetime and no Last-Modified: no reuse without validation (RFC 9111 §4.2.2)") {
  CHECK(lifetime({}) == 0s);
  CHECK(lifetime({{"ETag", "\"1\""}}) == 0s);
  CHECK(reuse_at_once({{"ETag", "\"1\""}}) == Reuse::must_validate);
  CHECK(reuse_at_once({{"Cache-Control", "public"}, {"ETag", "\"1\""}}) == Reuse::must_validate);
}

TEST_CASE("a lifetime where the author gave no hint exists only where it is set (RFC 9111 §4.2.2)") {
  Options options = site();
  CHECK(options.heuristic_min == 0s);
  options.heuristic_min = 30s;
  CHECK(lifetime({{"ETag", "\"1\""}}, options) == 30s);
  CHECK(lifetime({{"Cache-Control", "max-age=0"}, {"ETag", "\"1\""}}, options) == 0s);
}

TEST_CASE("heuristic: a tenth of the time since Last-Modified, at most a day (RFC 9111 §4.2.2)") {
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}}) == 100s);
  CHECK(lifetime({{"Last-Modified", date_text(-2000)}, {"Date", date_text(-1000)}}) == 100s);
  CHECK(lifetime({{"Last-Modified", date_text(-100'000'000)}}) == 24h);
  CHECK(lifetime({{"Last-Modified", date_text(1000)}}) == 0s);
  CHECK(lifetime({{"Last-Modified", "long ago"}}) == 0s);
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}, {"Cache-Control", "public"}}, site(), 302) == 100s);
}

TEST_CASE("heuristics are never used beside an explicit lifetime (RFC 9111 §4.2.2)") {
  for (const char* value : {"max-age=x", "max-age=0", "s-maxage=0", "max-age"}) {
    CAPTURE(value);
    CHECK(lifetime({{"Last-Modified", date_text(-1000)}, {"Cache-Control", value}}) == 0s);
    CHECK_FALSE(is_heuristic({{"Last-Modified", date_text(-1000)}, {"Cache-Control", value}}));
  }
  CHECK(is_heuristic({{"Last-Modified", date_text(-1000)}, {"Cache-Control", "foo"}}));
}

TEST_CASE("a targeted lifetime takes Cache-Control and Expires out of play (RFC 9213 §2.2)") {
  CHECK(lifetime({{"CDN-Cache-Control", "max-age=7"}, {"Expires", date_text(1000)}}) == 7s);
  CHECK(lifetime({{"CDN-Cache-Control", "max-age=7"}, {"Cache-Control", "max-age=1000, s-maxage=2000"}}) ==
        7s);
  CHECK(lifetime({{"CDN-Cache-Control", "max-age=0"}, {"Cache-Control", "max-age=1000"}}) == 0s);
  CHECK(lifetime({{"CDN-Cache-Control", "max-age=7, s-maxage=9"}}) == 9s);
}

TEST_CASE("a targeted field without a lifetime leaves heuristics, not Expires (RFC 9213 §2.2)") {
  CHECK(lifetime({{"CDN-Cache-Control", "must-revalidate"},
                  {"Expires", date_text(5000)},
                  {"Cache-Control", "max-age=5000"},
                  {"Last-Modified", date_text(-1000)}}) == 100s);
}

TEST_CASE("Coralized mode: without explicit freshness at least 5 minutes, at most 12 hours") {
  CHECK(lifetime({}, coralized()) == 300s);
  CHECK(lifetime({{"Last-Modified", date_text(-1000)}}, coralized()) == 300s);
  CHECK(lifetime({{"Last-Modified", date_text(-36000)}}, coralized()) == 3600s);
  CHECK(lifetime({{"Last-Modified", date_text(-100'000'000)}}, coralized()) == 12h);
  CHECK(lifetime({{"Cache-Control", "max-age=1"}}, coralized()) == 1s);
  Exchange closed = Exchange::with({{"Cache-Control", "max-age=3600"}});
  closed.receipt.close_delimited = true;
  CHECK(closed.decide(coralized())->lifetime == 300s);
  CHECK(closed.decide(site())->lifetime == 3600s);
}

TEST_CASE("age on arrival: the greater of Date's and Age's, with the time it took (RFC 9111 §4.2.3)") {
  CHECK(age_on_arrival({{"Date", date_text(-10)}, {"Age", "100"}}, 2s) == 102s);
  CHECK(age_on_arrival({{"Date", date_text(-500)}, {"Age", "100"}}) == 500s);
  CHECK(age_on_arrival({{"Date", date_text(500)}}, 2s) == 2s);
  CHECK(age_on_arrival({{"Age", "100"}}, 250ms) == 100250ms);
}

TEST_CASE("Age: first line, first member, digits only; else ignored; huge values clamp (RFC 9111 §5.1)") {
  CHECK(age_on_arrival({{"Age", "5, 100"}}) == 5s);
  CHECK(age_on_arrival({{"Age", "5"}, {"Age", "100"}}) == 5s);
  CHECK(age_on_arrival({{"Age", "0005"}}) == 5s);
  for (const char* value : {"-5", "+5", "5.5", "abc", "", "5s", "5 6", "'5'", "\"5\"", "0x5", "x, 100"}) {
    CAPTURE(value);
    CHECK(age_on_arrival({{"Age", value}}) == 0s);
  }
  CHECK(age_on_arrival({{"Age", "99999999999999999999"}}) == seconds{2147483648});
  CHECK(age_on_arrival({{"Age", "2147483649"}}) == seconds{2147483648});
}

TEST_CASE("current age keeps milliseconds, is floored once, and does not run backwards (RFC 9111 §4.2.3)") {
  const auto policy = *Exchange::with({{"Cache-Control", "max-age=60"}}).decide();
  CHECK(current_age(policy, kReceived + 3990ms) == 3990ms);
  CHECK(age_text(policy, kReceived + 3010ms) == "3");
  CHECK(age_text(policy, kReceived + 3999ms) == "3");
  CHECK(age_text(policy, kReceived + 4s) == "4");
  CHECK(current_age(policy, kReceived - 10s) == 0ms);
  CHECK(time_to_live(policy, kReceived + 60s) == 0s);
  Exchange slow = Exchange::with({{"Cache-Control", "max-age=60"}, {"Age", "2"}});
  slow.receipt.request_time = kReceived - 600ms;
  CHECK(age_text(*slow.decide(), kReceived + 500ms) == "3");
}

TEST_CASE("a response that arrives older than its lifetime is stale at once (RFC 9111 §4.2.3)") {
  for (const char* name : {"Cache-Control", "CDN-Cache-Control"}) {
    for (const char* value : {"max-age=60", "s-maxage=60"}) {
      CAPTURE(value);
      CHECK(reuse_at_once({{name, value}, {"Age", "60"}, {"ETag", "x"}}) == Reuse::must_validate);
    }
  }
  CHECK(reuse_at_once({{"Expires", date_text(60)}, {"Date", date_text(0)}, {"Age", "60"}}) ==
        Reuse::must_validate);
  CHECK(reuse_at_once({{"Cache-Control", "max-age=60"}, {"Date", date_text(-60)}}) == Reuse::must_validate);
  CHECK(reuse_at_once({{"Cache-Control", "max-age=60"}, {"Age", "59"}}) == Reuse::fresh);
}

TEST_CASE("fresh means that the lifetime exceeds the age, strictly (RFC 9111 §4.2)") {
  const auto policy = *Exchange::with({{"Cache-Control", "max-age=60"}}).decide();
  CHECK(decide_reuse(policy, {}, kReceived + 59999ms, site()).reuse == Reuse::fresh);
  CHECK(decide_reuse(policy, {}, kReceived + 60s, site()).reuse == Reuse::must_validate);
}

TEST_CASE("a lifetime that is given twice can be set to make a response stale (RFC 9111 §4.2.1)") {
  Options options = site();
  CHECK(options.repeated == Repeated::first);
  options.repeated = Repeated::stale;
  CHECK(lifetime({{"Cache-Control", "max-age=60, max-age=90"}, {"ETag", "x"}}, options) == 0s);
  CHECK(lifetime({{"Cache-Control", "s-maxage=60"}, {"Cache-Control", "s-maxage=60"}, {"ETag", "x"}},
                 options) == 0s);
  CHECK(lifetime({{"Expires", date_text(60)}, {"Expires", date_text(90)}, {"ETag", "x"}}, options) == 0s);
  CHECK(lifetime({{"Cache-Control", "max-age=60, s-maxage=90"}}, options) == 90s);
  CHECK(lifetime({{"Cache-Control", "max-age=60"}, {"Expires", "0"}, {"Expires", "0"}}, options) == 60s);
}
