#include "tests/wan/network.h"

#include <doctest/doctest.h>

#include "tests/wan/packets.h"

using namespace reef;
using namespace reef::wan;
using namespace reef::wan::testing;
using namespace std::chrono_literals;

namespace {

const TimePoint t0{1h};

struct Arrived {
  TimePoint at;
  HostIndex to;
  Bytes packet;
};

struct World {
  World() : World(TopologyOptions{.regions = 3, .metros = 2, .hosts = 2}) {}
  explicit World(const TopologyOptions& options)
      : topology(*Topology::generate(options)), network(topology, NetworkOptions{}) {}

  HostIndex host(std::string_view name) const { return *topology.host_named(name); }
  const IpAddress& address(HostIndex index) const { return topology.hosts()[index].address; }
  void send(TimePoint at, HostIndex from, HostIndex to, std::uint8_t ttl = 64, std::size_t bytes = 100) {
    network.on_packet(at, from, udp_packet(address(from), address(to), ttl, bytes));
  }
  // Everything that arrives, each at the first instant at which the network hands it out.
  std::vector<Arrived> drain() {
    std::vector<Arrived> out;
    while (const auto deadline = network.next_deadline()) {
      while (const auto due = network.next_due(*deadline)) {
        out.push_back({due->due, due->to, Bytes(due->packet.begin(), due->packet.end())});
      }
    }
    return out;
  }

  Topology topology;
  Network network;
};

}  // namespace

TEST_CASE("a packet arrives after the path's delay, with its TTL lowered by the routers on it") {
  World world;
  const HostIndex a = world.host("nyc-0");
  const HostIndex b = world.host("lon-1");
  world.send(t0, a, b, 64);
  CHECK_FALSE(world.network.next_due(t0 + world.topology.delay(a, b) - 1ns));
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 1);
  CHECK(arrived[0].to == b);
  CHECK(arrived[0].at == t0 + world.topology.delay(a, b));
  CHECK(parse_packet(arrived[0].packet)->ttl == 64 - world.topology.path(a, b).size());
}

TEST_CASE("each TTL short of the path is answered by the router at that hop, after that hop's round trip") {
  World world;
  const HostIndex a = world.host("sjc-0");
  const HostIndex b = world.host("fra-1");
  const auto path = world.topology.path(a, b);
  for (std::size_t ttl = 1; ttl <= path.size(); ++ttl) {
    world.send(t0, a, b, static_cast<std::uint8_t>(ttl));
    const auto arrived = world.drain();
    REQUIRE(arrived.size() == 1);
    CHECK(arrived[0].to == a);
    CHECK(arrived[0].at == t0 + 2 * path[ttl - 1].delay);
    CHECK(parse_packet(arrived[0].packet)->source == world.topology.routers()[path[ttl - 1].router].address);
  }
}

TEST_CASE("a silent router answers nothing, and packets still pass it") {
  World world;
  const HostIndex a = world.host("nyc-0");
  const HostIndex b = world.host("lon-0");
  world.network.set_silent(world.topology.path(a, b)[1].router, true);
  world.send(t0, a, b, 2);
  CHECK(world.drain().empty());
  world.send(t0, a, b, 64);
  CHECK(world.drain().size() == 1);
}

TEST_CASE("packets of one time keep the order in which they were sent") {
  World world;
  for (std::size_t bytes = 1; bytes <= 50; ++bytes) world.send(t0, 0, 3, 64, bytes);
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 50);
  for (std::size_t i = 0; i < arrived.size(); ++i) CHECK(arrived[i].packet.size() == 28 + i + 1);
}

TEST_CASE("an uplink's cap spaces packets, and what its queue cannot hold is lost") {
  World world;
  world.network.set_cap(0, Direction::up, {.bits_per_s = 1'024'000, .queue_bytes = 1280});
  for (int i = 0; i < 20; ++i) world.send(t0, 0, 3, 64, 100);  // 128 bytes each: one a millisecond
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 10);
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    CHECK(arrived[i].at == t0 + (i + 1) * 1ms + world.topology.delay(0, 3));
  }
  CHECK(world.network.counters().queue_full == 10);
}

TEST_CASE("a fair uplink serves connections by turns, at its rate, and its order ends with it") {
  World world;
  world.network.set_cap(0, Direction::up, {.bits_per_s = 1'024'000, .queue_bytes = 128'000, .fair = true});
  for (int i = 0; i < 100; ++i) world.send(t0, 0, 3, 64, 100);  // 128 bytes each: one a millisecond
  for (int i = 0; i < 5; ++i) world.send(t0, 0, 5, 64, 100);
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 105);
  TimePoint last_of_short{};
  TimePoint last{};
  for (const Arrived& packet : arrived) {
    const TimePoint left = packet.at - world.topology.delay(0, packet.to);
    if (packet.to == 5) last_of_short = std::max(last_of_short, left);
    last = std::max(last, left);
  }
  CHECK(last == t0 + 105ms);
  CHECK(last_of_short < t0 + 40ms);  // it did not wait for the other's backlog
  world.send(t0 + 1s, 0, 3);
  CHECK(world.drain().at(0).at == t0 + 1s + 1ms + world.topology.delay(0, 3));
  world.network.set_cap(0, Direction::up, {});
  world.send(t0 + 2s, 0, 3);
  CHECK(world.drain().at(0).at == t0 + 2s + world.topology.delay(0, 3));
}

TEST_CASE("a fair downlink serves connections by turns") {
  World world;
  world.network.set_cap(0, Direction::down, {.bits_per_s = 1'024'000, .queue_bytes = 128'000, .fair = true});
  for (int i = 0; i < 50; ++i) world.send(t0, 1, 0);
  world.send(t0, 2, 0);
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 51);
  CHECK(parse_packet(arrived.back().packet)->source == world.address(1));
  CHECK(arrived.back().at >= t0 + world.topology.delay(1, 0) + 50ms);
}

TEST_CASE("a downlink's queue is entered on arrival, not on sending") {
  World world;
  const HostIndex near = world.host("nyc-1");
  const HostIndex far = world.host("fra-0");
  const HostIndex to = world.host("nyc-0");
  world.network.set_cap(to, Direction::down, {.bits_per_s = 1'024'000, .queue_bytes = 12800});
  world.send(t0, far, to, 64, 100);  // was sent first, and must not make the near one wait
  world.send(t0, near, to, 64, 100);
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 2);
  CHECK(arrived[0].at == t0 + world.topology.delay(near, to) + 1ms);
  CHECK(arrived[1].at == t0 + world.topology.delay(far, to) + 1ms);
}

TEST_CASE("loss drops its share in its direction only") {
  World world;
  world.network.set_loss(0, Direction::up, 0.25);
  for (int i = 0; i < 4000; ++i) world.send(t0, 0, 3);
  const auto there = world.drain().size();
  CHECK(there > 2850);
  CHECK(there < 3150);
  for (int i = 0; i < 100; ++i) world.send(t0, 3, 0);
  CHECK(world.drain().size() == 100);
  world.network.set_loss(3, Direction::down, 1);
  world.send(t0, 1, 3);
  CHECK(world.drain().empty());
}

TEST_CASE("a partition is silent, cuts both ways, leaves others alone, and heals") {
  World world;
  const auto eu = world.topology.hosts_named("eu");
  const auto west = world.topology.hosts_named("na-west");
  const HostIndex east = world.host("nyc-0");
  world.network.partition(eu, west);
  world.send(t0, eu[0], west[1]);
  world.send(t0, west[1], eu[0]);
  CHECK(world.drain().empty());
  CHECK(world.network.counters().cut == 2);
  world.send(t0, eu[0], east);
  world.send(t0, east, west[0]);
  world.send(t0, eu[0], eu[1]);
  CHECK(world.drain().size() == 3);
  world.network.heal();
  world.send(t0, eu[0], west[1]);
  CHECK(world.drain().size() == 1);
}

TEST_CASE("a host that is down is silent, also for packets under way to it") {
  World world;
  world.send(t0, 0, 3);
  world.network.set_reach(3, Reach::down);
  world.send(t0, 3, 0);
  CHECK(world.drain().empty());
  world.network.set_reach(3, Reach::up);
  world.send(t0, 0, 3);
  CHECK(world.drain().size() == 1);
}

TEST_CASE("an unreachable host is reported by its access router") {
  World world;
  const auto path = world.topology.path(0, 3);
  world.network.set_reach(3, Reach::unreachable);
  world.send(t0, 0, 3);
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 1);
  CHECK(arrived[0].to == 0);
  CHECK(arrived[0].at == t0 + 2 * path.back().delay);
  CHECK(parse_packet(arrived[0].packet)->source == world.topology.routers()[path.back().router].address);
  CHECK(arrived[0].packet[20] == std::byte{3});
  CHECK(arrived[0].packet[21] == std::byte{1});
}

TEST_CASE("an address that nobody has is refused by the first router; local chatter is not answered") {
  World world;
  world.network.on_packet(t0, 0, udp_packet(world.address(0), IpAddress::v4(9, 9, 9, 9), 64, 10));
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 1);
  CHECK(parse_packet(arrived[0].packet)->source ==
        world.topology.routers()[world.topology.hosts()[0].access].address);
  world.network.on_packet(t0, 0, udp_packet(world.address(0), IpAddress::v4(224, 0, 0, 22), 1, 10));
  CHECK(world.drain().empty());
}

TEST_CASE("a router can be pinged and traced") {
  World world;
  const auto path = world.topology.path(0, world.host("lon-0"));
  const IpAddress router = world.topology.routers()[path[3].router].address;
  world.network.on_packet(t0, 0, echo_request(world.address(0), router, 64));
  auto arrived = world.drain();
  REQUIRE(arrived.size() == 1);
  CHECK(arrived[0].at == t0 + 2 * path[3].delay);
  CHECK(arrived[0].packet[20] == std::byte{0});
  world.network.on_packet(t0, 0, echo_request(world.address(0), router, 2));
  arrived = world.drain();
  REQUIRE(arrived.size() == 1);
  CHECK(arrived[0].packet[20] == std::byte{11});
}

TEST_CASE("IPv6 is routed like IPv4") {
  World world;
  const Host& a = world.topology.hosts()[0];
  const Host& b = world.topology.hosts()[3];
  world.network.on_packet(t0, 0, udp_packet(a.address6, b.address6, 64, 10));
  world.network.on_packet(t0, 0, udp_packet(a.address6, b.address6, 1, 10));
  const auto arrived = world.drain();
  REQUIRE(arrived.size() == 2);
  CHECK(arrived[0].to == 0);
  CHECK(parse_packet(arrived[0].packet)->source == world.topology.routers()[a.access].address6);
  CHECK(arrived[1].to == 3);
  CHECK(arrived[1].at == t0 + world.topology.delay(0, 3));
}

TEST_CASE("garbage from a host is counted and dropped") {
  World world;
  world.network.on_packet(t0, 0, as_bytes("not a packet"));
  CHECK(world.network.counters().malformed == 1);
  CHECK_FALSE(world.network.next_deadline());
}

TEST_CASE("no more packets than allowed are under way; the others are counted as overruns") {
  const Topology topology = *Topology::generate({.regions = 1, .metros = 1, .hosts = 2});
  Network network(topology, NetworkOptions{.packets_max = 5});
  const auto& hosts = topology.hosts();
  for (int i = 0; i < 8; ++i)
    network.on_packet(t0, 0, udp_packet(hosts[0].address, hosts[1].address, 64, 10));
  CHECK(network.counters().overruns == 3);
}
