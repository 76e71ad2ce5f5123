#include "node/live_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace reef;
using namespace reef::node;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{100h};

dsht::Contact contact(std::uint8_t number) {
  dsht::Contact out;
  out.id.bytes[0] = number;
  out.rpc = {IpAddress::v4(9, 9, number, 1), 8091};
  out.http_port = 80;
  out.services = dsht::kServiceProxy;
  return out;
}

dsht::TableEntry entry(std::uint8_t number, dsht::Level level, Duration rtt, TimePoint heard_at = kStart) {
  dsht::TableEntry out;
  out.contact = contact(number);
  out.rtt.sample(heard_at, rtt);
  out.heard_at = heard_at;
  out.levels = dsht::mask_of(0);
  if (level > 0) out.levels |= dsht::mask_of(level);
  return out;
}

std::set<int> numbers(const std::vector<dsht::Contact>& contacts) {
  std::set<int> out;
  for (const dsht::Contact& c : contacts) out.insert(c.id.bytes[0]);
  return out;
}
std::set<int> live(const LiveSet& set, TimePoint now) {
  std::set<int> out;
  for (const dsht::Neighbour& n : set.live(now)) out.insert(n.contact.id.bytes[0]);
  return out;
}

// Virtual time: nodes that answer a ping at once, or not at all.
struct World {
  LiveSet set;
  std::vector<dsht::TableEntry> table;
  std::set<int> dead;
  TimePoint now = kStart;
  std::size_t pings = 0;

  explicit World(const LiveSetOptions& options = {}) : set(options, Random(1)) {}
  void pass(Duration by) {
    for (const TimePoint end = now + by; now < end; now += 1s) {
      set.choose(now, table);
      for (const dsht::Contact& asked : set.due(now)) {
        ++pings;
        if (dead.contains(asked.id.bytes[0])) {
          set.silent(asked.id);
        } else {
          set.heard({asked, 5ms, now, 0});
        }
      }
    }
  }
};

}  // namespace

TEST_CASE("members are asked every few seconds, so that all who live are named and nobody else") {
  World world;
  for (std::uint8_t i = 1; i <= 10; ++i) world.table.push_back(entry(i, 0, i * 1ms));
  world.pass(60s);
  CHECK(live(world.set, world.now).size() == 10);
  // Every 4 s, each.
  CHECK(world.pings >= 10 * 14);
  CHECK(world.pings <= 10 * 16);
}

TEST_CASE("a node that dies is not named any more within ten seconds, and is again soon after it is back") {
  World world;
  world.table = {entry(1, 0, 1ms), entry(2, 0, 2ms)};
  world.pass(30s);
  REQUIRE(live(world.set, world.now) == std::set{1, 2});
  world.dead = {1};
  world.pass(10s);
  CHECK(live(world.set, world.now) == std::set{2});
  world.dead = {};
  world.pass(25s);
  CHECK(live(world.set, world.now) == std::set{1, 2});
}

TEST_CASE("one lost exchange takes nobody out") {
  World world;
  world.table = {entry(1, 0, 1ms)};
  world.pass(20s);
  world.dead = {1};
  world.pass(4s);
  world.dead = {};
  for (int i = 0; i < 10; ++i) {
    CHECK(live(world.set, world.now) == std::set{1});
    world.pass(1s);
  }
}

TEST_CASE("who leaves the index's table leaves the answers at once") {
  World world;
  world.table = {entry(1, 0, 1ms), entry(2, 0, 2ms)};
  world.pass(5s);
  world.table.erase(world.table.begin());
  world.set.choose(world.now, world.table);
  CHECK(live(world.set, world.now) == std::set{2});
}

TEST_CASE(
    "of many contacts each level has its share, the nearest of it always, and others by lot who change") {
  LiveSetOptions options;
  options.nodes_max = 16;
  World world(options);
  for (std::uint8_t i = 0; i < 40; ++i) {
    world.table.push_back(entry(static_cast<std::uint8_t>(1 + i), 0, 100ms + i * 1ms));
    world.table.push_back(entry(static_cast<std::uint8_t>(101 + i), 1, 30ms + i * 1ms));
    world.table.push_back(entry(static_cast<std::uint8_t>(151 + i), 2, 1ms + i * 1ms));
  }
  std::set<int> ever;
  for (int i = 0; i < 60; ++i) {
    world.pass(30s);
    const std::set<int> now = live(world.set, world.now);
    REQUIRE(now.size() == 16);
    const auto between = [&](int from, int to) {
      return std::count_if(now.begin(), now.end(), [=](int n) { return n >= from && n <= to; });
    };
    CHECK(between(1, 40) == 4);
    CHECK(between(101, 140) == 4);
    CHECK(between(151, 190) == 8);
    for (const int near : {1, 2, 101, 102, 151, 152, 153, 154}) CHECK(now.contains(near));
    ever.insert(now.begin(), now.end());
  }
  CHECK(ever.size() > 60);
}

TEST_CASE("places that a level does not need are the others'") {
  LiveSetOptions options;
  options.nodes_max = 16;
  World world(options);
  for (std::uint8_t i = 1; i <= 20; ++i) world.table.push_back(entry(i, 0, i * 1ms));
  world.table.push_back(entry(151, 2, 1ms));
  world.pass(5s);
  const std::set<int> now = live(world.set, world.now);
  CHECK(now.size() == 16);
  CHECK(now.contains(151));
}

TEST_CASE("nodes near clients are asked too, while findings name them, and the bound holds") {
  LiveSetOptions options;
  options.named_max = 3;
  World world(options);
  const std::vector<dsht::Contact> near = {contact(1), contact(2)};
  world.set.name(world.now, near);
  CHECK(live(world.set, world.now).empty());  // hearsay
  world.pass(5s);
  CHECK(live(world.set, world.now) == std::set{1, 2});
  const std::vector<dsht::Contact> more = {contact(3), contact(4)};
  world.set.name(world.now, more);
  world.pass(5s);
  CHECK(world.set.size() == 3);
  CHECK(live(world.set, world.now).contains(3));
  CHECK(live(world.set, world.now).contains(4));
  world.pass(options.named_for);
  CHECK(world.set.size() == 0);
}

TEST_CASE("a silent node near clients is asked ever and again, but rarely") {
  World world;
  const std::vector<dsht::Contact> near = {contact(1)};
  world.dead = {1};
  world.set.name(world.now, near);
  world.pass(120s);
  CHECK(world.pings >= 5);
  CHECK(world.pings <= 9);
  world.dead = {};
  world.pass(25s);
  CHECK(live(world.set, world.now) == std::set{1});
}

TEST_CASE("no more are asked at once than allowed, who was not heard for the longest time first") {
  LiveSetOptions options;
  options.pings_max = 4;
  LiveSet set(options, Random(1));
  std::vector<dsht::TableEntry> table;
  for (std::uint8_t i = 1; i <= 10; ++i) table.push_back(entry(i, 0, 5ms, kStart - i * 10s));
  set.choose(kStart, table);
  CHECK(numbers(set.due(kStart)) == std::set{7, 8, 9, 10});
  CHECK(numbers(set.due(kStart)) == std::set{3, 4, 5, 6});
  CHECK(numbers(set.due(kStart)) == std::set{1, 2});
  CHECK(set.due(kStart + 60s).empty());  // all answers are owed
}
