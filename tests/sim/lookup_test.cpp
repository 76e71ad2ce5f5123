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
