#include "tests/wan/topology.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/wan/gazetteer.h"
#include "tests/wan/topology_json.h"

using namespace reef;
using namespace reef::wan;
using namespace std::chrono_literals;

namespace {

Topology make(TopologyOptions options = {}) {
  auto topology = Topology::generate(options);
  REQUIRE(topology);
  return std::move(*topology);
}

std::vector<RouterIndex> routers_of(const std::vector<Hop>& path) {
  std::vector<RouterIndex> out;
  for (const Hop& hop : path) out.push_back(hop.router);
  return out;
}

}  // namespace

TEST_CASE("a topology has the hosts that were asked for, each in a /24 of its own") {
  const Topology topology = make({.regions = 5, .metros = 3, .hosts = 7});
  CHECK(topology.hosts().size() == 5 * 3 * 7);
  std::set<IpPrefix> subnets;
  for (const Host& host : topology.hosts()) subnets.insert(IpPrefix::around(host.address, 24));
  CHECK(subnets.size() == topology.hosts().size());
}

TEST_CASE("every address is public and used once") {
  const Topology topology = make({.seed = 7, .regions = 6, .metros = 4, .hosts = 240});
  std::set<IpAddress> seen;
  const auto check = [&](const IpAddress& address) {
    CHECK(address.is_global_unicast());
    CHECK(seen.insert(address).second);
  };
  for (const Host& host : topology.hosts()) {
    check(host.address);
    check(host.address6);
  }
  for (const Router& router : topology.routers()) {
    check(router.address);
    check(router.address6);
  }
}

TEST_CASE("the same seed makes the same topology, another seed another one") {
  const auto text = [](std::uint64_t seed) {
    const TopologyOptions options{.seed = seed};
    return topology_json(make(options), options, "x-");
  };
  CHECK(text(3) == text(3));
  CHECK(text(3) != text(4));
}

TEST_CASE("a path and its way back cross the same routers, in opposite order") {
  const Topology topology = make({.seed = 5});
  for (HostIndex a = 0; a < topology.hosts().size(); a += 3) {
    for (HostIndex b = a + 1; b < topology.hosts().size(); b += 5) {
      auto there = routers_of(topology.path(a, b));
      const auto back = routers_of(topology.path(b, a));
      std::ranges::reverse(there);
      CHECK(there == back);
      CHECK(topology.delay(a, b) == topology.delay(b, a));
    }
  }
}

TEST_CASE("a path starts at the sender's access router, ends at the receiver's, and its times only grow") {
  const Topology topology = make();
  for (HostIndex b = 1; b < topology.hosts().size(); ++b) {
    const auto path = topology.path(0, b);
    REQUIRE(path.size() >= 2);
    CHECK(path.front().router == topology.hosts()[0].access);
    CHECK(path.front().delay == topology.hosts()[0].last_mile);
    CHECK(path.back().router == topology.hosts()[b].access);
    CHECK(path.back().delay + topology.hosts()[b].last_mile == topology.delay(0, b));
    for (std::size_t i = 1; i < path.size(); ++i) CHECK(path[i].delay > path[i - 1].delay);
  }
}

TEST_CASE("a path between metros crosses access, aggregation and core routers at both ends") {
  const Topology topology = make();
  const auto path = topology.path(*topology.host_named("nyc-0"), *topology.host_named("fra-0"));
  REQUIRE(path.size() >= 6);
  const auto tier = [&](std::size_t i) { return topology.routers()[path[i].router].tier; };
  CHECK(tier(0) == Tier::access);
  CHECK(tier(1) == Tier::aggregation);
  CHECK(tier(2) == Tier::core);
  CHECK(tier(path.size() - 3) == Tier::core);
  CHECK(tier(path.size() - 2) == Tier::aggregation);
  CHECK(tier(path.size() - 1) == Tier::access);
}

TEST_CASE(
    "round trips fall into the levels of the paper: metro below 20 ms, region mostly below 60 ms, ocean "
    "above") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Topology topology = make({.seed = seed});
    const auto rtt = [&](std::string_view a, std::string_view b) {
      return 2 * topology.delay(*topology.host_named(a), *topology.host_named(b));
    };
    CHECK(rtt("nyc-0", "nyc-1") < 20ms);
    CHECK(rtt("nyc-0", "atl-1") < 60ms);
    CHECK(rtt("lon-0", "fra-1") < 60ms);
    CHECK(rtt("nyc-0", "lon-0") > 60ms);
    CHECK(rtt("nyc-0", "lon-0") < 100ms);
    CHECK(rtt("lon-0", "nrt-0") > 150ms);
    CHECK(rtt("gru-0", "nrt-0") < 400ms);
  }
}

TEST_CASE("a name stands for a host, a metro, a region or all hosts, and nothing else") {
  const Topology topology = make({.regions = 2, .metros = 2, .hosts = 3});
  CHECK(topology.hosts_named("nyc-1").size() == 1);
  CHECK(topology.hosts_named("nyc").size() == 3);
  CHECK(topology.hosts_named("na-east").size() == 6);
  CHECK(topology.hosts_named("all").size() == 12);
  CHECK(topology.hosts_named("atlantis").empty());
  CHECK_FALSE(topology.host_named("nyc").has_value());
}

TEST_CASE("silent routers are as many as asked for, within chance") {
  const Topology topology = make({.regions = 6, .metros = 4, .hosts = 50, .silent_share = 0.2});
  const auto silent = std::ranges::count_if(topology.routers(), &Router::silent);
  const double share = static_cast<double>(silent) / static_cast<double>(topology.routers().size());
  CHECK(share > 0.15);
  CHECK(share < 0.25);
}

TEST_CASE("options outside their ranges are refused") {
  CHECK_FALSE(Topology::generate({.regions = 0}));
  CHECK_FALSE(Topology::generate({.regions = 7}));
  CHECK_FALSE(Topology::generate({.metros = 5}));
  CHECK_FALSE(Topology::generate({.hosts = 241}));
  CHECK_FALSE(Topology::generate({.silent_share = 1.5}));
  CHECK_FALSE(Topology::generate({.last_mile_min = 2ms, .last_mile_max = 1ms}));
}

TEST_CASE("distances on the globe are right") {
  const City london{"eu", "lon", 51.51, -0.13};
  const City sydney{"oceania", "syd", -33.87, 151.21};
  CHECK(distance_km(london, sydney) == doctest::Approx(16990).epsilon(0.01));
  CHECK(distance_km(london, london) == doctest::Approx(0));
}
