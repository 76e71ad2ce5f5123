// Where hosts stand and how long a datagram takes between them.
//
// The planetary model has the cities and cables of tests/wan: a host sits behind an access router, that on
// one of two aggregation routers of its metro, those on the metro's core router; cores are meshed within a
// region and joined by two cables to each neighbour region, and datagrams take the shortest way. Delays are
// kept per pair of metros, so that a million hosts cost nothing but their own places. Or the delays between
// places are given as a matrix of measured round trips. Pure; immutable once made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/random.h"
#include "base/result.h"

namespace reef::sim {

using Metro = std::uint32_t;

// A host's place. One-way milliseconds.
struct Place {
  Metro metro = 0;
  std::uint8_t aggregation = 0;  // which of the metro's two
  float to_aggregation_ms = 0;
  float to_core_ms = 0;
};

class Planet {
 public:
  // `metros`: at least one. The gazetteer's 24 cities, one of each region in turn; beyond them made-up towns
  // 100 to 600 km from one of these.
  static Planet planetary(std::size_t metros, Random& random);
  // Round trips in milliseconds, a row a line, numbers apart by blanks; '#' begins a comment. `nan` or a
  // negative number was not measured: the least way through a third place counts. Each row is a metro, and a
  // region, of its own. Hosts of one row are 1 ms apart.
  static Result<Planet> from_rtts(std::string_view text);

  [[nodiscard]] std::size_t metro_count() const { return metros_.size(); }
  [[nodiscard]] const std::string& name_of(Metro metro) const { return metros_[metro].name; }
  [[nodiscard]] const std::string& region_of(Metro metro) const { return metros_[metro].region; }
  // Access network and last mile are drawn by lot.
  [[nodiscard]] Place place_in(Metro metro, Random& random) const;

  [[nodiscard]] double one_way_ms(const Place& a, const Place& b) const {
    if (a.metro != b.metro) return a.to_core_ms + b.to_core_ms + between(a.metro, b.metro);
    if (a.aggregation == b.aggregation) return a.to_aggregation_ms + b.to_aggregation_ms;
    return a.to_core_ms + b.to_core_ms;
  }

  // What a host at that address learns about its surroundings from a trace: its own /24, and the routers up
  // to five hops out with their /24s. Names as in dsht/hints.h.
  [[nodiscard]] std::vector<std::string> hint_names(const Place& place, const IpAddress& address) const;

 private:
  struct MetroState {
    std::string name;
    std::string region;
    double latitude = 0;
    double longitude = 0;
    double aggregation_ms[2] = {0, 0};  // one way to the core
  };

  [[nodiscard]] double between(Metro a, Metro b) const { return core_ms_[a * metros_.size() + b]; }
  void connect(Metro a, Metro b, double stretch, Random& random);
  void connect_cores(Random& random);
  void shorten();

  bool measured_ = false;
  std::vector<MetroState> metros_;
  std::vector<double> core_ms_;  // one way, core to core, row by row
  std::vector<Metro> next_hop_;  // towards the column's metro
};

}  // namespace reef::sim
