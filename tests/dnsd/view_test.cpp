#include "dnsd/view.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

using namespace reef;
using namespace reef::dnsd;

namespace {

IpAddress address(int i) { return IpAddress::v4(192, 0, 2, static_cast<std::uint8_t>(i)); }

Pool pool_of(const std::vector<double>& shares) {
  Pool pool;
  for (std::size_t i = 0; i < shares.size(); ++i) pool.add(address(static_cast<int>(i)), shares[i]);
  pool.close();
  return pool;
}

}  // namespace

TEST_CASE("the first address drawn is each one as often as its share says") {
  for (const std::vector<double>& shares : std::vector<std::vector<double>>{
           {1}, {1, 1, 1}, {1, 2, 3, 4}, {1000, 1, 1, 1e-9}, {0.3, 0.3, 0.4, 5, 0.01, 0.01, 7, 2}}) {
    const Pool pool = pool_of(shares);
    Random random(7);
    constexpr int kDraws = 200'000;
    std::map<IpAddress, int> times;
    for (int i = 0; i < kDraws; ++i) {
      Picked picked;
      pool.draw(1, random, picked);
      REQUIRE(picked.size() == 1);
      ++times[*picked.begin()];
    }
    double sum = 0;
    for (const double share : shares) sum += share;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const double expected = shares[i] / sum * kDraws;
      CAPTURE(i);
      // Five standard deviations of a binomial, and one for what should never come.
      CHECK(std::abs(times[address(static_cast<int>(i))] - expected) <= 5 * std::sqrt(expected) + 1);
    }
  }
}

TEST_CASE("several are drawn without repetition, all where so many are wanted, beside those already there") {
  const Pool pool = pool_of({1000, 1, 1e-6, 1});
  Random random(7);
  Picked picked;
  picked.add(address(1));
  pool.draw(3, random, picked);
  CHECK(picked.size() == 3);
  pool.draw(Picked::kMax, random, picked);
  CHECK(std::set<IpAddress>(picked.begin(), picked.end()) ==
        std::set{address(0), address(1), address(2), address(3)});
}

TEST_CASE("from an empty pool nothing is drawn") {
  const Pool pool = pool_of({});
  Random random(7);
  Picked picked;
  pool.draw(4, random, picked);
  CHECK(picked.size() == 0);
}
