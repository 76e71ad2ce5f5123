// What the simulator's test cases and experiments share: networks that formed, and how they name things.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/network.h"

namespace reef::sim {

// Options for many nodes in one process: smaller tables of rate limits.
dsht::NodeOptions many_nodes();

// `count` hosts that joined through host 0, `apart` from each other, and had a minute to settle.
std::vector<Host> settled_network(Network& network, std::size_t count, Duration apart);

struct Growth {
  std::size_t count = 0;
  Duration over{};  // joins are spread evenly
  dsht::NodeOptions options = many_nodes();
  bool hints = true;                            // they know their surroundings
  std::function<Spot(std::size_t)> spot;        // of the i-th; empty: by lot
  std::function<void(Duration passed)> tell{};  // how far it came, now and then
};
// Hosts that join through any of those that are up. The first of an empty network founds it. Returns when
// `over` has passed.
std::vector<Host> grow(Network& network, const Growth& growth);

// A random key.
Key some_key(Network& network);

// A random host that is up.
Host some_host(Network& network);

std::vector<Host> live_hosts(const Network& network);

// Nodes die and others come: sessions last as long as chance has it, half of them less than `half_life`. A
// host whose session ended is up again `down` later as somebody new, through any host that is up.
class Churn {
 public:
  // `network` outlives the churn. `spare`: hosts that never die.
  Churn(Network& network, Duration half_life, Duration down, std::vector<Host> spare);

  void start();  // gives every host that is up its hour
  void stop() { running_ = false; }
  [[nodiscard]] std::size_t deaths() const { return deaths_; }

 private:
  void live(Host host);

  Network& network_;
  Duration half_life_;
  Duration down_;
  std::vector<Host> spare_;
  bool running_ = false;
  std::size_t deaths_ = 0;
};

// The value at `share` (0..1) of the way through the ordered values (nearest rank); 0 of nothing.
double quantile(std::vector<double> values, double share);

// Median round trip in ms of up to `samples` random pairs of these hosts; 0 for fewer than two.
double median_rtt_ms(Network& network, const std::vector<Host>& hosts, std::size_t samples);

}  // namespace reef::sim
