#include "probe/rtt.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "base/random.h"

using namespace reef;
using reef::probe::RttFilter;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint t0{1000s};
}

TEST_CASE("the round-trip time is the least of the window") {
  RttFilter filter(10s);
  CHECK_FALSE(filter.minimum(t0));
  filter.add(t0, 30ms);
  CHECK(filter.minimum(t0) == 30ms);
  filter.add(t0 + 1s, 50ms);
  CHECK(filter.minimum(t0 + 1s) == 30ms);
  filter.add(t0 + 2s, 20ms);
  CHECK(filter.minimum(t0 + 2s) == 20ms);
}

TEST_CASE("without samples the last minimum is forgotten after the window") {
  RttFilter filter(10s);
  filter.add(t0, 30ms);
  CHECK(filter.minimum(t0 + 10s) == 30ms);
  CHECK_FALSE(filter.minimum(t0 + 10001ms));
  filter.add(t0 + 30s, 70ms);
  CHECK(filter.minimum(t0 + 30s) == 70ms);
}

TEST_CASE("a path that became longer shows after one window") {
  RttFilter filter(10s);
  for (int i = 0; i < 100; ++i) filter.add(t0 + i * 100ms, 20ms);
  for (int i = 100; i < 300; ++i) filter.add(t0 + i * 100ms, 80ms);
  CHECK(filter.minimum(t0 + 30s) == 80ms);
}

TEST_CASE(
    "the estimate is never below the true minimum of the window, and never above all of the last quarter") {
  Random random(7);
  RttFilter filter(10s);
  std::vector<std::pair<TimePoint, Duration>> all;
  for (int i = 0; i < 5000; ++i) {
    const TimePoint now = t0 + i * 50ms;
    const Duration rtt = random.between(10ms, 100ms);
    filter.add(now, rtt);
    all.emplace_back(now, rtt);
    Duration least = Duration::max(), least_of_quarter = Duration::max();
    for (const auto& [at, sample] : all) {
      if (now - at <= 10s) least = std::min(least, sample);
      if (now - at <= 2500ms) least_of_quarter = std::min(least_of_quarter, sample);
    }
    CHECK(*filter.minimum(now) >= least);
    CHECK(*filter.minimum(now) <= least_of_quarter);
  }
}

TEST_CASE("a negative sample counts as zero") {
  RttFilter filter;
  filter.add(t0, -5ms);
  CHECK(filter.minimum(t0) == 0ms);
}
