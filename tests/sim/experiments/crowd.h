// A crowd for one key: every node puts and gets it as fast as it can (NSDI 2004, §6.4).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

struct CrowdOptions {
  std::size_t nodes = 494;
  double pairs_per_second = 400;  // of each node: the next pair begins that long after the last one began, or
                                  // when that ended, whichever is later
  int minutes = 5;                // the first is reported by itself, the last three are the steady state
  dsht::NodeOptions node{};
  std::uint64_t variant = 0;
};

struct CrowdLoad {
  double busiest_first = 0;   // STORE and HANDOVER requests a minute at the busiest node: first minute,
  double busiest_steady = 0;  // mean of the steady state,
  double busiest_minute = 0;  // and the worst minute of any node after the first
  double far_half = 0;        // a minute, all nodes of the other half of the id space together, steady state
  double all_steady = 0;      // a minute, all nodes together
  double finds_busiest = 0;   // FIND requests a minute at the node with most, steady state
  double finds_per_put = 0;   // FIND requests of all nodes over puts begun, steady state
  double pairs_per_second = 0;  // all nodes together, steady state
  double put_ms_p50 = 0;        // of puts that needed the network, steady state
  double put_ms_p99 = 0;
  double get_ms_p50 = 0;
  double stored_percent = 0;   // puts that ended stored, steady state
  double covered_percent = 0;  // puts that ended because the key needs no more
  // Puts a minute, mean over the nodes that share this many bits with the key; nothing where there are none.
  std::vector<std::optional<double>> by_share;
};

CrowdLoad run_crowd(const Settings& settings, const CrowdOptions& options);

// Options under which every put walks straight to the nodes closest to its key, as in a plain Kademlia.
[[nodiscard]] dsht::NodeOptions plain_kademlia(dsht::NodeOptions options);

}  // namespace reef::sim
