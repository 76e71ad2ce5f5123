// The clusters as they are in truth: who says that it is in which, and whether they are any good, by the
// delays of the model rather than by anybody's measurements.
#pragma once

#include <map>
#include <vector>

#include "tests/sim/world.h"

namespace reef::sim {

class ClustersSeen {
 public:
  // Of all hosts that are up, now. `threshold`: of the round trip.
  ClustersSeen(Network& network, dsht::Level level, Duration threshold);

  [[nodiscard]] const std::map<ClusterId, std::vector<Host>>& clusters() const { return clusters_; }
  [[nodiscard]] const std::vector<Host>& members_with(Host host) const;
  [[nodiscard]] const ClusterId& cluster_of(Host host) const { return cluster_of_[host]; }

  // Share of hosts that are in a cluster with somebody else and have at least `accept` of its other members
  // within the threshold. A host that has nobody within the threshold is as well off as can be and counts as
  // well if it is alone.
  [[nodiscard]] double good_share(double accept) const;
  // Mean over metros of the share of its hosts that are in the cluster where most of them are.
  [[nodiscard]] double metro_share() const;
  // The same for one metro.
  [[nodiscard]] double metro_share(Metro metro) const;
  // The cluster in which most hosts of the metro are.
  [[nodiscard]] ClusterId main_cluster(Metro metro) const;
  [[nodiscard]] double mean_size() const;  // that a host sees

 private:
  [[nodiscard]] bool is_good(Host host, double accept) const;
  [[nodiscard]] std::map<ClusterId, std::size_t> count_in(Metro metro) const;

  Network& network_;
  Duration threshold_;
  std::vector<Host> live_;
  std::vector<ClusterId> cluster_of_;  // by host
  std::map<ClusterId, std::vector<Host>> clusters_;
};

}  // namespace reef::sim
