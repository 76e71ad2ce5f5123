// Joining, finding and the simulator itself.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>

#include "tests/sim/world.h"

using namespace reef;
using namespace reef::sim;
using namespace std::chrono_literals;

namespace {

std::uint64_t trace_of_small_world(std::uint64_t seed) {
  Network network(seed, {.loss = 0.02, .duplicate = 0.01, .reorder = 0.05});
  settled_network(network, 40, 20ms);
  for (int i = 0; i < 50; ++i) {
    const Key key = some_key(network);
    network.put(some_host(network), key, as_bytes("v"), 60s, nullptr);
    network.get(some_host(network), key, 1s, [](dsht::Found) {});
    network.run_for(50ms);
  }
  network.run_for(1min);
  return network.trace();
}

}  // namespace

TEST_CASE("the same seed gives the same trace, another seed another") {
  const std::uint64_t first = trace_of_small_world(run_seed());
  CHECK(trace_of_small_world(run_seed()) == first);
  CHECK(trace_of_small_world(run_seed() + 1) != first);
}

TEST_CASE("who is near a stranger is found by his hints, asked, and says how near he is") {
  Network network(run_seed(), {.metros = 8, .loss = 0.002});
  std::vector<Host> hosts =
      grow(network, {.count = 160, .over = 4min, .options = many_nodes(), .spot = {}, .tell = {}});
  network.run_for(10min);
  // Of the dead many still stand there; they are not named.
  for (int i = 0; i < 20; ++i) network.kill(some_host(network));
  network.run_for(61s);
  int asked = 0, named = 0, in_metro = 0, right_level = 0, with_verdict = 0;
  for (int i = 0; i < 60; ++i) {
    const Metro metro = static_cast<Metro>(network.random().below(8));
    const Place place = network.planet().place_in(metro, network.random());
    const IpAddress address = IpAddress::v4(0x2d000001 + (static_cast<std::uint32_t>(i) << 8));
    dsht::FindNodes what;
    for (const std::string& name : network.planet().hint_names(place, address)) {
      what.hints.push_back(dsht::key_of({}, dsht::KeyDomain::hint, name));
    }
    const Host asker = some_host(network);
    const double rtt = 2 * network.planet().one_way_ms(network.place(asker), place);
    const int level = rtt < 20 ? 2 : rtt < 60 ? 1 : 0;
    ++asked;
    const TimePoint began = network.now();
    network.find_nodes(asker, what, 3s, [&, metro, level, began](const dsht::NodesNear& found) {
      CHECK(network.now() - began <= 3s);
      if (found.nodes.empty()) return;
      ++named;
      bool is_there = true;
      for (const dsht::Neighbour& node : found.nodes) {
        const auto at = std::find_if(hosts.begin(), hosts.end(),
                                     [&](Host host) { return network.id(host) == node.contact.id; });
        REQUIRE(at != hosts.end());
        CHECK(network.is_up(*at));
        CHECK(node.contact.rpc == network.endpoint(*at));
        if (&node == &found.nodes.front()) is_there = network.place(*at).metro == metro;
      }
      in_metro += is_there;
      with_verdict += found.verdict.source == dsht::LevelVerdict::Source::hint;
      right_level += found.verdict.level == level;
    });
    network.run_for(4s);
  }
  CHECK(named == asked);
  // Who had to be asked twice is not measured.
  CHECK(with_verdict >= named * 95 / 100);
  CHECK(in_metro >= named * 95 / 100);
  CHECK(right_level >= named * 85 / 100);
}

TEST_CASE("a random walk among the members of a cluster finds live ones, within its budget") {
  Network network(run_seed(), {.metros = 4, .loss = 0.002});
  grow(network, {.count = 120, .over = 4min, .options = many_nodes(), .spot = {}, .tell = {}});
  network.run_for(10min);
  int found_some = 0;
  for (int i = 0; i < 20; ++i) {
    const Host asker = some_host(network);
    const ClusterId cluster = network.node(asker).cluster(network.now(), 1).id;
    network.find_nodes(asker, {.hints = {}, .level = 1, .count = 10}, 2s,
                       [&, cluster](const dsht::NodesNear& found) {
                         found_some += found.nodes.size() >= 5;
                         CHECK(found.complete);
                         CHECK(found.nodes.size() <= 10);
                         for (const dsht::Neighbour& node : found.nodes) {
                           for (Host host = 0; host < network.size(); ++host) {
                             if (network.id(host) != node.contact.id) continue;
                             CHECK(network.node(host).cluster(network.now(), 1).id == cluster);
                           }
                         }
                       });
    network.run_for(3s);
  }
  CHECK(found_some >= 18);
  // Nobody can answer so soon.
  bool ended = false;
  const Host asker = some_host(network);
  const TimePoint began = network.now();
  network.find_nodes(asker, {.hints = {dsht::key_of({}, dsht::KeyDomain::hint, "nowhere")}}, 1us,
                     [&](const dsht::NodesNear& found) {
                       ended = true;
                       CHECK(!found.complete);
                       CHECK(found.nodes.empty());
                       CHECK(network.now() - began < 1ms);
                     });
  network.run_for(1s);
  CHECK(ended);
}

TEST_CASE("500 nodes join through one seed and find at least 99.9 % of 4,000 values") {
  const auto started = std::chrono::steady_clock::now();
  Network network(run_seed(), {.loss = 0.002});
  settled_network(network, 500, 30ms);
  std::size_t joined = 0;
  for (Host host = 0; host < network.size(); ++host) joined += network.node(host).is_joined();
  CHECK(joined == 500);

  constexpr int kPairs = 4'000;
  int stored = 0;
  int found = 0;
  int right = 0;
  Duration total{};
  std::vector<Duration> took;
  for (int i = 0; i < kPairs; ++i) {
    const Key key = some_key(network);
    const std::string text = "value " + std::to_string(i);
    network.put(some_host(network), key, as_bytes(text), 10min, [&, key, text](const dsht::PutDone& done) {
      stored += done.stored;
      const TimePoint asked = network.now();
      network.get(some_host(network), key, 5s, [&, text, asked](const dsht::Found& result) {
        took.push_back(network.now() - asked);
        found += result.end == dsht::WalkEnd::found;
        right += !result.values.empty() && as_text(result.values[0].data) == text;
      });
    });
    network.run_for(5ms);
  }
  network.run_for(20s);
  CHECK(stored >= kPairs * 999 / 1000);
  CHECK(found >= kPairs * 999 / 1000);
  CHECK(right == found);
  REQUIRE(took.size() == kPairs);
  std::sort(took.begin(), took.end());
  CHECK(took[took.size() / 2] < 500ms);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::printf("found %d of %d; get p50 %.0f ms, p99 %.0f ms of virtual time; %.1f M datagrams in %.1f s\n",
              found, kPairs, to_ms(took[took.size() / 2]), to_ms(took[took.size() * 99 / 100]),
              static_cast<double>(network.datagrams()) / 1e6, seconds);
  CHECK(seconds < 60);
}
