// A made-up world for the cluster rules alone: metros on a plane, and in them nodes that are nothing but a
// Clusters object. Everybody hears about one random node a second, and now and then members of its own
// clusters; pings and samples are answered a second later. Virtual time in steps of a second.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "dsht/clusters.h"

namespace reef::dsht::testing {

struct Metro {
  double x = 0;  // milliseconds of RTT
  double y = 0;
  int nodes = 0;
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::chrono::seconds join_within = std::chrono::minutes(30);
  double jitter = 0.05;    // of a measured RTT, upwards; of a pair's distance, both ways
  double known_rtt = 0.7;  // probability that the hearer has measured the speaker
  double loss = 0.02;
  double size_error = 0.25;  // relative, of the estimate of a large cluster
  ClusterOptions clusters;
};

// Regions of metros: sizes 5 to 60; some metros of a region lie 17 to 23 ms apart, some regions 52 to 68 ms.
std::vector<Metro> planet(std::uint64_t seed, int metros, int nodes);

class World {
 public:
  World(const WorldOptions& options, const std::vector<Metro>& metros);

  void run(std::chrono::seconds time);
  // While cut off, nothing goes in or out of this metro.
  void cut(int metro, bool is_cut) { cut_[static_cast<std::size_t>(metro)] = is_cut; }
  // Moves a metro.
  void move(int metro, double x, double y);
  // Messages heard a second; less is cheaper.
  void set_rate(double rate) { rate_ = rate; }

  // Share of the nodes that share a cluster with others of which at least 80 % are truly within the
  // threshold.
  [[nodiscard]] double happy(Level level) const;
  // Share of a metro's nodes in its largest cluster: the mean over the metros, and the least.
  [[nodiscard]] double metro_share(Level level) const;
  [[nodiscard]] double metro_share(Level level, int metro) const;
  [[nodiscard]] std::size_t clusters(Level level) const;
  [[nodiscard]] std::uint64_t switches(Level level) const;  // of all so far
  [[nodiscard]] std::uint64_t switches_of(Level level, std::size_t node) const;
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] int metro_of(std::size_t node) const { return nodes_[node].metro; }
  [[nodiscard]] const ClusterId& cluster_of(std::size_t node, Level level) const {
    return nodes_[node].clusters->id(level);
  }
  [[nodiscard]] std::uint64_t pings() const { return pings_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] std::string why() const;

 private:
  struct Node {
    Contact contact;
    int metro = 0;
    double access_ms = 0;
    TimePoint joins;
    std::optional<Clusters> clusters;
  };
  [[nodiscard]] double true_ms(std::size_t a, std::size_t b) const;
  [[nodiscard]] bool reaches(std::size_t a, std::size_t b) const;
  void tell(std::size_t hearer, std::size_t speaker, bool with_rtt);
  void step();
  void act(std::size_t node);
  void set_sizes(std::size_t node);
  void move_to(std::size_t node, Level level, const ClusterId& from, const ClusterId& to);
  std::size_t index_of(const Contact& contact) const { return contact.http_port; }

  struct Due {
    TimePoint at;
    std::size_t node;
    ClusterAction action;
  };

  WorldOptions options_;
  std::vector<Metro> metros_;
  Random random_;
  TimePoint now_{};
  double rate_ = 1;
  std::vector<bool> cut_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> alive_;
  std::array<std::map<ClusterId, std::vector<std::size_t>>, 2> members_;
  std::deque<Due> due_;
  std::array<std::array<std::uint64_t, 4>, 2> why_{};
  std::uint64_t pings_ = 0;
  std::uint64_t samples_ = 0;
};

}  // namespace reef::dsht::testing
