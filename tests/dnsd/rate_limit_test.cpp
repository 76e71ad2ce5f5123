#include "dnsd/rate_limit.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::dnsd;
using namespace std::chrono_literals;
using Verdict = RateLimiter::Verdict;

namespace {
const RateLimitOptions kTen{.responses_per_second = 10, .burst = 10, .slip = 2};
constexpr TimePoint t0{1000s};
}  // namespace

TEST_CASE("a network gets its burst, then every second response is truncated and the others are dropped") {
  RateLimiter limiter(kTen, {});
  const IpAddress a = IpAddress::v4(192, 0, 2, 1), neighbour = IpAddress::v4(192, 0, 2, 200);
  for (int i = 0; i < 5; ++i) CHECK(limiter.on_response(t0, a) == Verdict::send);
  for (int i = 0; i < 5; ++i) CHECK(limiter.on_response(t0, neighbour) == Verdict::send);
  CHECK(limiter.on_response(t0, a) == Verdict::drop);
  CHECK(limiter.on_response(t0, a) == Verdict::truncate);
  CHECK(limiter.on_response(t0, neighbour) == Verdict::drop);
  CHECK(limiter.on_response(t0, IpAddress::v4(192, 0, 3, 1)) == Verdict::send);  // another /24
  CHECK(limiter.on_response(t0 + 100ms, a) == Verdict::send);                    // one token came back
  CHECK(limiter.on_response(t0 + 100ms, a) != Verdict::send);
}

TEST_CASE("IPv6 is limited by /56") {
  RateLimiter limiter(kTen, {});
  for (int i = 0; i < 10; ++i) (void)limiter.on_response(t0, *IpAddress::parse("2001:db8:0:1ff::1"));
  CHECK(limiter.on_response(t0, *IpAddress::parse("2001:db8:0:100::2")) != Verdict::send);
  CHECK(limiter.on_response(t0, *IpAddress::parse("2001:db8:0:200::2")) == Verdict::send);
}

TEST_CASE("loopback is never limited, and nobody is when the limit is off") {
  RateLimiter limiter(kTen, {});
  for (int i = 0; i < 1000; ++i) CHECK(limiter.on_response(t0, IpAddress::v4(127, 0, 0, 1)) == Verdict::send);
  RateLimitOptions off = kTen;
  off.enabled = false;
  RateLimiter unlimited(off, {});
  for (int i = 0; i < 1000; ++i)
    CHECK(unlimited.on_response(t0, IpAddress::v4(192, 0, 2, 1)) == Verdict::send);
}

TEST_CASE("without slip everything over the limit is dropped") {
  RateLimitOptions options = kTen;
  options.slip = 0;
  RateLimiter limiter(options, {});
  for (int i = 0; i < 10; ++i) (void)limiter.on_response(t0, IpAddress::v4(192, 0, 2, 1));
  for (int i = 0; i < 10; ++i) CHECK(limiter.on_response(t0, IpAddress::v4(192, 0, 2, 1)) == Verdict::drop);
}

TEST_CASE("the default lets one resolver ask a thousand names at once") {
  RateLimiter limiter({}, {});
  for (int i = 0; i < 1000; ++i) CHECK(limiter.on_response(t0, IpAddress::v4(192, 0, 2, 1)) == Verdict::send);
}

TEST_CASE("many networks share a table of fixed size") {
  RateLimitOptions options = kTen;
  options.networks_max = 64;
  RateLimiter limiter(options, {});
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    CHECK(limiter.on_response(t0 + std::chrono::microseconds(i), IpAddress::v4(i << 8)) == Verdict::send);
  }
}
