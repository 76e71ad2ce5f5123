#include "tests/sim/world.h"

namespace reef::sim {

dsht::NodeOptions many_nodes() {
  dsht::NodeOptions options;
  options.rate_limit.slots = 256;
  return options;
}

std::vector<Host> settled_network(Network& network, std::size_t count, Duration apart) {
  std::vector<Host> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    const Host host = network.add(many_nodes());
    hosts.push_back(host);
    if (i == 0) {
      network.join(host, {});
    } else {
      network.join(host, {hosts[0]});
    }
    network.run_for(apart);
  }
  network.run_for(std::chrono::minutes(1));
  return hosts;
}

Key some_key(Network& network) { return network.random().id<Key>(); }

Host some_host(Network& network) {
  for (;;) {
    const Host host = static_cast<Host>(network.random().below(network.size()));
    if (network.is_up(host)) return host;
  }
}

}  // namespace reef::sim
