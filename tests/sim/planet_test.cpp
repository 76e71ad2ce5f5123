// Delays and places.
#include "tests/sim/planet.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace reef;
using namespace reef::sim;

namespace {

double rtt(const Planet& planet, Metro a, Metro b, Random& random) {
  return 2 * planet.one_way_ms(planet.place_in(a, random), planet.place_in(b, random));
}

Metro named(const Planet& planet, std::string_view name) {
  for (Metro m = 0; m < planet.metro_count(); ++m) {
    if (planet.name_of(m) == name) return m;
  }
  FAIL("no such metro");
  return 0;
}

}  // namespace

TEST_CASE(
    "hosts of a metro are within 20 ms of each other, London is far from New York and farther from Tokyo") {
  Random random(1);
  const Planet planet = Planet::planetary(24, random);
  REQUIRE(planet.metro_count() == 24);
  for (Metro m = 0; m < 24; ++m) {
    for (int i = 0; i < 50; ++i) {
      const double ms = rtt(planet, m, m, random);
      CHECK(ms > 1);
      CHECK(ms < 20);
    }
  }
  const Metro london = named(planet, "lon");
  const double to_new_york = rtt(planet, london, named(planet, "nyc"), random);
  CHECK(to_new_york > 65);
  CHECK(to_new_york < 95);
  CHECK(rtt(planet, london, named(planet, "nrt"), random) > 1.8 * to_new_york);
}

TEST_CASE("delays are the same both ways and no detour between metros is shorter") {
  Random random(2);
  const Planet planet = Planet::planetary(40, random);
  std::vector<Place> places;
  for (Metro m = 0; m < 40; ++m) places.push_back(planet.place_in(m, random));
  for (const Place& a : places) {
    for (const Place& b : places) {
      CHECK(planet.one_way_ms(a, b) == planet.one_way_ms(b, a));
      for (const Place& via : places) {
        if (a.metro == b.metro) continue;
        CHECK(planet.one_way_ms(a, b) <= planet.one_way_ms(a, via) + planet.one_way_ms(via, b) + 1e-9);
      }
    }
  }
}

TEST_CASE("metros beyond the gazetteer's lie near one of its cities and in its region") {
  Random random(3);
  const Planet planet = Planet::planetary(60, random);
  REQUIRE(planet.metro_count() == 60);
  for (Metro m = 24; m < 60; ++m) {
    CHECK(planet.region_of(m) == planet.region_of(m % 24));
    CHECK(rtt(planet, m, m % 24, random) < 30);
  }
}

TEST_CASE("hosts of one metro share hints, hosts of far ones do not") {
  Random random(4);
  const Planet planet = Planet::planetary(24, random);
  const auto hints = [&](std::string_view metro, int host) {
    return planet.hint_names(planet.place_in(named(planet, metro), random),
                             IpAddress::v4(20, 0, static_cast<std::uint8_t>(host), 1));
  };
  const auto shared = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::ranges::count_if(a, [&](const std::string& name) { return std::ranges::count(b, name) > 0; });
  };
  const auto fra = hints("fra", 1);
  CHECK(fra[0] == "20.0.1.0/24");
  CHECK(shared(fra, hints("fra", 2)) >= 2);
  CHECK(shared(fra, hints("syd", 3)) == 0);
  CHECK(shared(fra, hints("fra", 1)) == static_cast<std::ptrdiff_t>(fra.size()));
}

TEST_CASE("measured round trips are taken as they are, both directions together") {
  const auto planet = Planet::from_rtts("# three places\n0 10 200\n30 0 nan\n\n100 -1 0\n");
  REQUIRE(planet);
  REQUIRE(planet->metro_count() == 3);
  Random random(5);
  CHECK(rtt(*planet, 0, 1, random) == doctest::Approx(20));
  CHECK(rtt(*planet, 0, 2, random) == doctest::Approx(150));
  CHECK(rtt(*planet, 1, 2, random) == doctest::Approx(170).epsilon(0.02));  // by way of the first
  CHECK(rtt(*planet, 2, 2, random) == doctest::Approx(1));
}

TEST_CASE("a matrix that is not square, not numbers or not connected is refused") {
  CHECK_FALSE(Planet::from_rtts(""));
  CHECK_FALSE(Planet::from_rtts("# nothing\n"));
  CHECK_FALSE(Planet::from_rtts("0 1\n1 0 2\n"));
  CHECK_FALSE(Planet::from_rtts("0 1\n"));
  CHECK_FALSE(Planet::from_rtts("0 x\n1 0\n"));
  CHECK_FALSE(Planet::from_rtts("0 inf\n1 0\n"));
  CHECK_FALSE(Planet::from_rtts("0 nan\nnan 0\n"));
}
