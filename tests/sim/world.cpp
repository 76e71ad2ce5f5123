#include "tests/sim/world.h"

#include <algorithm>
#include <cmath>

namespace reef::sim {

using namespace std::chrono_literals;

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
  network.run_for(1min);
  return hosts;
}

std::vector<Host> grow(Network& network, const Growth& growth) {
  std::vector<Host> hosts;
  const TimePoint start = network.now();
  for (std::size_t i = 0; i < growth.count; ++i) {
    // Hosts that are there before this one; it must not be its own seed.
    std::vector<Host> seeds;
    if (network.size() > 0) seeds.push_back(some_host(network));
    const Host host = network.add(growth.options, growth.spot ? growth.spot(i) : Spot{});
    hosts.push_back(host);
    network.join(host, seeds);
    if (growth.hints) network.set_hints(host);
    const TimePoint next =
        start + growth.over * static_cast<std::int64_t>(i + 1) / static_cast<std::int64_t>(growth.count);
    network.run_for(next - network.now());
    if (growth.tell && i % 64 == 0) growth.tell(network.now() - start);
  }
  return hosts;
}

Key some_key(Network& network) { return network.random().id<Key>(); }

Host some_host(Network& network) {
  for (;;) {
    const Host host = static_cast<Host>(network.random().below(network.size()));
    if (network.is_up(host)) return host;
  }
}

std::vector<Host> live_hosts(const Network& network) {
  std::vector<Host> out;
  for (Host host = 0; host < network.size(); ++host) {
    if (network.is_up(host)) out.push_back(host);
  }
  return out;
}

Churn::Churn(Network& network, Duration half_life, Duration down, std::vector<Host> spare)
    : network_(network), half_life_(half_life), down_(down), spare_(std::move(spare)) {}

void Churn::start() {
  running_ = true;
  for (const Host host : live_hosts(network_)) live(host);
}

void Churn::live(Host host) {
  if (std::ranges::find(spare_, host) != spare_.end()) return;
  const double half_lives = -std::log2(1 - network_.random().unit());
  const auto session = std::chrono::duration_cast<Duration>(half_life_ * half_lives);
  network_.after(session, [this, host] {
    if (!running_ || !network_.is_up(host)) return;
    network_.kill(host);
    ++deaths_;
    network_.after(down_, [this, host] {
      if (network_.is_up(host)) return;
      const Host seed = some_host(network_);
      network_.restart_as_new(host);
      network_.join(host, {seed});
      network_.set_hints(host);
      if (running_) live(host);
    });
  });
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const std::size_t at = std::min(rank == 0 ? 0 : rank - 1, values.size() - 1);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

double median_rtt_ms(Network& network, const std::vector<Host>& hosts, std::size_t samples) {
  if (hosts.size() < 2) return 0;
  std::vector<double> rtts;
  const bool all = hosts.size() * (hosts.size() - 1) / 2 <= samples;
  if (all) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) rtts.push_back(to_ms(network.rtt(hosts[i], hosts[j])));
    }
  }
  while (rtts.size() < samples && !all) {
    const Host a = hosts[network.random().below(hosts.size())];
    const Host b = hosts[network.random().below(hosts.size())];
    if (a != b) rtts.push_back(to_ms(network.rtt(a, b)));
  }
  return quantile(std::move(rtts), 0.5);
}

}  // namespace reef::sim
