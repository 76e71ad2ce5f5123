#include "tests/sim/experiments/clusters_seen.h"

#include <algorithm>

namespace reef::sim {

ClustersSeen::ClustersSeen(Network& network, dsht::Level level, Duration threshold)
    : network_(network), threshold_(threshold), live_(live_hosts(network)), cluster_of_(network.size()) {
  for (const Host host : live_) {
    cluster_of_[host] = network.node(host).cluster(network.now(), level).id;
    clusters_[cluster_of_[host]].push_back(host);
  }
}

const std::vector<Host>& ClustersSeen::members_with(Host host) const {
  return clusters_.at(cluster_of_[host]);
}

bool ClustersSeen::is_good(Host host, double accept) const {
  const std::vector<Host>& members = members_with(host);
  if (members.size() == 1) {
    return std::ranges::none_of(
        live_, [&](Host other) { return other != host && network_.rtt(host, other) < threshold_; });
  }
  std::size_t within = 0;
  for (const Host other : members) within += other != host && network_.rtt(host, other) < threshold_;
  return static_cast<double>(within) >= accept * static_cast<double>(members.size() - 1);
}

double ClustersSeen::good_share(double accept) const {
  std::size_t good = 0;
  for (const Host host : live_) good += is_good(host, accept);
  return live_.empty() ? 0 : static_cast<double>(good) / static_cast<double>(live_.size());
}

std::map<ClusterId, std::size_t> ClustersSeen::count_in(Metro metro) const {
  std::map<ClusterId, std::size_t> count;
  for (const Host host : live_) {
    if (network_.place(host).metro == metro) ++count[cluster_of_[host]];
  }
  return count;
}

double ClustersSeen::metro_share(Metro metro) const {
  std::size_t all = 0;
  std::size_t largest = 0;
  for (const auto& [cluster, hosts] : count_in(metro)) {
    all += hosts;
    largest = std::max(largest, hosts);
  }
  return all == 0 ? 0 : static_cast<double>(largest) / static_cast<double>(all);
}

double ClustersSeen::metro_share() const {
  double sum = 0;
  std::size_t metros = 0;
  for (Metro metro = 0; metro < network_.planet().metro_count(); ++metro) {
    const double share = metro_share(metro);
    if (share == 0) continue;  // nobody lives there
    sum += share;
    ++metros;
  }
  return metros == 0 ? 0 : sum / static_cast<double>(metros);
}

ClusterId ClustersSeen::main_cluster(Metro metro) const {
  ClusterId main;
  std::size_t largest = 0;
  for (const auto& [cluster, hosts] : count_in(metro)) {
    if (hosts > largest) largest = hosts, main = cluster;
  }
  return main;
}

double ClustersSeen::mean_size() const {
  double sum = 0;
  for (const auto& [cluster, members] : clusters_) {
    sum += static_cast<double>(members.size()) * static_cast<double>(members.size());
  }
  return live_.empty() ? 0 : sum / static_cast<double>(live_.size());
}

}  // namespace reef::sim
