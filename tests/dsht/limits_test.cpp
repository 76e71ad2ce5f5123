// RTT estimates, write tokens, rate limits and address groups.
#include <doctest/doctest.h>

#include "dsht/address_group.h"
#include "dsht/rate_limit.h"
#include "dsht/rtt.h"
#include "dsht/tokens.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint t0 = TimePoint{} + 100h;
const IpAddress here = IpAddress::v4(192, 0, 2, 1);
}  // namespace

TEST_CASE("the time-out follows RFC 6298 §2: first SRTT = R, RTTVAR = R/2, then 7/8 and 3/4") {
  RttEstimator rtt;
  CHECK_FALSE(rtt.timeout());
  CHECK_FALSE(rtt.least());
  rtt.sample(t0, 80ms);
  CHECK(rtt.smoothed() == Duration(80ms));
  CHECK(rtt.timeout() == Duration(240ms));
  rtt.sample(t0 + 1s, 160ms);
  CHECK(rtt.smoothed() == Duration(90ms));            // 7/8 · 80 + 1/8 · 160
  CHECK(rtt.timeout() == Duration(90ms + 4 * 50ms));  // 3/4 · 40 + 1/4 · 80
}

TEST_CASE("the time-out stays within its bounds") {
  RttEstimator near;
  near.sample(t0, 1ms);
  CHECK(near.timeout() == RttEstimator::kTimeoutMin);
  RttEstimator far;
  far.sample(t0, 1500ms);
  CHECK(far.timeout() == RttEstimator::kTimeoutMax);
}

TEST_CASE("the least RTT is forgotten when two windows have passed") {
  RttEstimator rtt;
  rtt.sample(t0, 10ms);
  rtt.sample(t0 + 1min, 30ms);
  CHECK(rtt.least() == Duration(10ms));
  rtt.sample(t0 + 5min, 40ms);
  CHECK(rtt.least() == Duration(10ms));
  rtt.sample(t0 + 10min, 50ms);
  CHECK(rtt.least() == Duration(40ms));
}

TEST_CASE("a token holds for its address, in its period and the next, under its secret") {
  const TokenMint mint(SipKey{});
  SipKey other{};
  other[5] = std::byte{1};
  const std::uint64_t token = mint.mint(t0, here);
  CHECK(mint.is_valid(t0, here, token));
  CHECK(mint.is_valid(t0 + 5min, here, token));
  CHECK_FALSE(mint.is_valid(t0 + 10min, here, token));
  CHECK_FALSE(mint.is_valid(t0, IpAddress::v4(192, 0, 2, 2), token));
  CHECK_FALSE(mint.is_valid(t0, here, token + 1));
  CHECK_FALSE(mint.is_valid(t0, here, 0));
  CHECK_FALSE(TokenMint(other).is_valid(t0, here, token));
}

TEST_CASE("a source may burst and then has its rate; others are not held for it") {
  RateLimit limit({.per_second = 10, .burst = 20, .slots = 4096}, SipKey{});
  const Endpoint source{IpAddress::v4(20, 0, 0, 1), 1000};
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.allow(t0, source);
  CHECK(allowed == 20);
  CHECK_FALSE(limit.allow(t0, {source.address, 2000}));  // the same source, whatever its port
  CHECK(limit.allow(t0, {IpAddress::v4(20, 0, 0, 2), 1000}));
  for (int i = 0; i < 100; ++i) allowed += limit.allow(t0 + 1s, source);
  CHECK(allowed == 30);
}

TEST_CASE("on loopback every port is a source of its own") {
  RateLimit limit({.per_second = 1, .burst = 1, .slots = 4096}, SipKey{});
  CHECK(limit.allow(t0, {IpAddress::v4(127, 0, 0, 1), 1000}));
  CHECK_FALSE(limit.allow(t0, {IpAddress::v4(127, 0, 0, 1), 1000}));
  CHECK(limit.allow(t0, {IpAddress::v4(127, 0, 0, 1), 1001}));
}

TEST_CASE("a group is a global /24 or /48; other addresses have none") {
  const auto group = [](const char* text) { return address_group(IpAddress::parse(text).value()); };
  CHECK(group("20.1.2.3") == group("20.1.2.250"));
  CHECK(group("20.1.2.3") != group("20.1.3.3"));
  CHECK(group("2620:1:2::1") == group("2620:1:2:ffff::9"));
  CHECK(group("2620:1:2::1") != group("2620:1:3::1"));
  CHECK(group("20.1.2.3") != kNoGroup);
  for (const char* local : {"10.1.2.3", "127.0.0.1", "192.168.1.1", "::1", "fd00::1", "fe80::1"})
    CHECK(group(local) == kNoGroup);
}
