#include "dnsd/locality.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::dnsd;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint t0{1000s};

std::shared_ptr<const Verdict> verdict_of(dsht::Level level, TimePoint made) {
  Verdict out;
  out.level = level;
  out.source = Source::rtt;
  out.made = out.verified = made;
  return std::make_shared<const Verdict>(std::move(out));
}

Prefix network(std::uint32_t i) { return IpPrefix::around(IpAddress::v4(i << 8), 24); }

}  // namespace

TEST_CASE("clients are told apart by /24 and /48, client subnets may be wider") {
  const LocalityOptions options;
  CHECK(to_string(network_of(IpAddress::v4(192, 0, 2, 9), options)) == "192.0.2.0/24");
  CHECK(to_string(network_of(*IpAddress::parse("2001:db8:1:2::3"), options)) == "2001:db8:1::/48");
  CHECK(to_string(network_of(IpAddress::v4(192, 0, 2, 9), options, 16)) == "192.0.0.0/16");
  CHECK(to_string(network_of(IpAddress::v4(192, 0, 2, 9), options, 32)) == "192.0.2.0/24");
}

TEST_CASE("a verdict is found again, asked for anew when old, and used meanwhile") {
  VerdictCache cache({}, {});
  CHECK(cache.find(t0, network(1)).wanted);
  CHECK_FALSE(cache.find(t0 + 4s, network(1)).wanted);
  CHECK(cache.find(t0 + 5s, network(1)).wanted);
  cache.set(t0 + 5s, network(1), verdict_of(2, t0 + 5s));
  const auto found = cache.find(t0 + 6s, network(1));
  REQUIRE(found.verdict != nullptr);
  CHECK(found.verdict->level == 2);
  CHECK_FALSE(found.wanted);
  const auto old = cache.find(t0 + 11min, network(1));
  CHECK(old.verdict != nullptr);
  CHECK(old.wanted);
  CHECK(cache.peek(network(1)) != nullptr);
  CHECK(cache.peek(network(2)) == nullptr);
}

TEST_CASE("addresses near a client are asked for again in time, and are not used when it is too late") {
  VerdictCache cache({}, {});
  Verdict verdict;
  verdict.proxies = {IpAddress::v4(192, 0, 2, 1)};
  verdict.made = verdict.verified = t0;
  cache.set(t0, network(1), std::make_shared<const Verdict>(verdict));
  CHECK_FALSE(cache.find(t0 + 30s, network(1)).wanted);
  CHECK(cache.find(t0 + 31s, network(1)).wanted);
  CHECK(cache.is_nearby_fresh(t0 + 60s, verdict));
  CHECK_FALSE(cache.is_nearby_fresh(t0 + 61s, verdict));
}

TEST_CASE(
    "the table is bounded: what was asked for gives way before what is known, the longest unused first") {
  VerdictCache cache({.verdicts_max = 64}, {});
  for (std::uint32_t i = 0; i < 8; ++i) cache.set(t0, network(i), verdict_of(1, t0));
  for (std::uint32_t i = 1000; i < 11'000; ++i) (void)cache.find(t0 + 1s, network(i));
  int kept = 0;
  for (std::uint32_t i = 0; i < 8; ++i) kept += cache.peek(network(i)) != nullptr ? 1 : 0;
  CHECK(kept == 8);
  for (std::uint32_t i = 1000; i < 11'000; ++i) cache.set(t0 + 2s, network(i), verdict_of(1, t0));
  kept = 0;
  for (std::uint32_t i = 0; i < 11'000; ++i) kept += cache.peek(network(i)) != nullptr ? 1 : 0;
  CHECK(kept == 64);
}
