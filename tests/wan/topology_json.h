// A topology as JSON, for the programs that run experiments on it.
#pragma once

#include <string>
#include <string_view>

#include "tests/wan/network.h"
#include "tests/wan/topology.h"

namespace reef::wan {

// {"seed":..,"hosts":[{"name","metro","region","address","netns","access","last_mile_ms"}],
//  "routers":[{"address","metro","region","tier","silent"}],"links":[{"a","b","delay_ms"}]}; links name
//  routers by
// address. `netns_prefix` goes before each host's name to make its namespace's.
[[nodiscard]] std::string topology_json(const Topology& topology, const TopologyOptions& options,
                                        std::string_view netns_prefix);

// {"from","to","rtt_ms","routers":[{"address","rtt_ms","silent"}]} of the path between two hosts.
[[nodiscard]] std::string route_json(const Topology& topology, HostIndex from, HostIndex to);

// {"counts":[{"from","to","packets","bytes"}]}, hosts by name, of what `network` has counted.
[[nodiscard]] std::string counts_json(const Topology& topology, const Network& network);

}  // namespace reef::wan
