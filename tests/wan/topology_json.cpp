#include "tests/wan/topology_json.h"

#include <nlohmann/json.hpp>

namespace reef::wan {
namespace {

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::access:
      return "access";
    case Tier::aggregation:
      return "aggregation";
    case Tier::core:
      return "core";
  }
  return "";
}

}  // namespace

std::string topology_json(const Topology& topology, const TopologyOptions& options,
                          std::string_view netns_prefix) {
  using nlohmann::json;
  json out = {
      {"seed", options.seed}, {"hosts", json::array()}, {"routers", json::array()}, {"links", json::array()}};
  for (const Host& host : topology.hosts()) {
    out["hosts"].push_back({{"name", host.name},
                            {"metro", host.metro},
                            {"region", host.region},
                            {"address", to_string(host.address)},
                            {"address6", to_string(host.address6)},
                            {"netns", std::string(netns_prefix) + host.name},
                            {"access", to_string(topology.routers()[host.access].address)},
                            {"last_mile_ms", to_ms(host.last_mile)}});
  }
  for (const Router& router : topology.routers()) {
    out["routers"].push_back({{"address", to_string(router.address)},
                              {"address6", to_string(router.address6)},
                              {"metro", router.metro},
                              {"region", router.region},
                              {"tier", tier_name(router.tier)},
                              {"silent", router.silent}});
  }
  for (const Link& link : topology.links()) {
    out["links"].push_back({{"a", to_string(topology.routers()[link.a].address)},
                            {"b", to_string(topology.routers()[link.b].address)},
                            {"delay_ms", to_ms(link.delay)}});
  }
  return out.dump(1);
}

std::string route_json(const Topology& topology, HostIndex from, HostIndex to) {
  using nlohmann::json;
  json out = {{"ok", true},
              {"from", topology.hosts()[from].name},
              {"to", topology.hosts()[to].name},
              {"rtt_ms", 2 * to_ms(topology.delay(from, to))},
              {"routers", json::array()}};
  if (from == to) return out.dump();
  for (const Hop& hop : topology.path(from, to)) {
    const Router& router = topology.routers()[hop.router];
    out["routers"].push_back({{"address", to_string(router.address)},
                              {"rtt_ms", 2 * to_ms(hop.delay)},
                              {"silent", router.silent}});
  }
  return out.dump();
}

std::string counts_json(const Topology& topology, const Network& network) {
  using nlohmann::json;
  json out = {{"ok", true}, {"counts", json::array()}};
  for (const auto& [hosts, tally] : network.tallies()) {
    out["counts"].push_back({{"from", topology.hosts()[hosts.first].name},
                             {"to", topology.hosts()[hosts.second].name},
                             {"packets", tally.packets},
                             {"bytes", tally.bytes}});
  }
  return out.dump();
}

}  // namespace reef::wan
