#include "base/random.h"

#include <doctest/doctest.h>

#include <array>

using namespace reef;
using namespace std::chrono_literals;

TEST_CASE("the same seed gives the same sequence, as the authors' C code does") {
  // Made with the reference algorithm (xoshiro256**, its state from splitmix64).
  Random zero(0);
  CHECK(zero() == 0x99ec5f36cb75f2b4);
  CHECK(zero() == 0xbf6e1f784956452a);
  CHECK(zero() == 0x1a5f849d4933e6e0);
  Random other(42);
  CHECK(other() == 0x15780b2e0c2ec716);
}

TEST_CASE("below() stays below, reaches every value, and favours none") {
  Random random(1);
  CHECK(random.below(1) == 0);
  std::array<int, 7> seen{};
  for (int i = 0; i < 70'000; ++i) ++seen[random.below(7)];
  for (int count : seen) CHECK(std::abs(count - 10'000) < 500);  // five standard deviations
  // A bound above half of the range is where a plain remainder would favour the low values.
  const std::uint64_t bound = (1ull << 63) + (1ull << 62);
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += random.below(bound) < bound / 3 ? 1 : 0;
  CHECK(std::abs(low - 10'000) < 500);
}

TEST_CASE("unit() is in [0, 1)") {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.unit();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    sum += value;
  }
  CHECK(std::abs(sum / 10'000 - 0.5) < 0.02);
}

TEST_CASE("between() includes both ends, and an empty range is its low end") {
  Random random(3);
  bool low = false, high = false;
  for (int i = 0; i < 200; ++i) {
    const Duration value = random.between(5ns, 7ns);
    REQUIRE(value >= 5ns);
    REQUIRE(value <= 7ns);
    low = low || value == 5ns;
    high = high || value == 7ns;
  }
  CHECK(low);
  CHECK(high);
  CHECK(random.between(5s, 5s) == 5s);
  CHECK(random.between(5s, 4s) == 5s);
}

TEST_CASE("two sources seeded by the system differ") { CHECK(Random::from_os()() != Random::from_os()()); }
