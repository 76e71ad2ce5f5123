// A made-up Internet: regions, metros, routers, hosts, and the one path between any two of them.
//
// Shape of a metro: every host sits behind an access router of its own /24; access routers hang on one of two
// aggregation routers; those on the metro's core router. Core routers form the backbone: a mesh within a
// region, cables between regions. A path between metros thus crosses access, aggregation, core ..., core,
// aggregation, access. Paths are shortest by delay and the same in both directions.
//
// Immutable after generate(); any thread may read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/time.h"

namespace reef::wan {

using HostIndex = std::uint32_t;
using RouterIndex = std::uint32_t;

struct TopologyOptions {
  std::uint64_t seed = 1;
  int regions = 5;                                          // 1..6, in the gazetteer's order
  int metros = 3;                                           // per region, 1..4
  int hosts = 4;                                            // per metro, 1..240; each in a /24 of its own
  double silent_share = 0;                                  // routers that never answer anything, 0..1
  Duration last_mile_min = std::chrono::microseconds(300);  // host to access router, one way
  Duration last_mile_max = std::chrono::microseconds(3000);
};

struct Host {
  std::string name;  // metro and number: "fra-2"
  std::string metro;
  std::string region;
  IpAddress address;   // IPv4
  IpAddress address6;  // IPv6
  RouterIndex access = 0;
  Duration last_mile{};  // one way
};

enum class Tier : std::uint8_t { access, aggregation, core };

struct Router {
  IpAddress address;  // what it answers from, whichever way the packet came
  IpAddress address6;
  std::string metro;
  std::string region;
  Tier tier = Tier::access;
  bool silent = false;
};

struct Link {
  RouterIndex a = 0;
  RouterIndex b = 0;
  Duration delay{};  // one way
};

// A router on a path, and the time one way from the sender to it.
struct Hop {
  RouterIndex router = 0;
  Duration delay{};
};

class Topology {
 public:
  // Options outside their ranges are an error.
  [[nodiscard]] static Result<Topology> generate(const TopologyOptions& options);

  [[nodiscard]] const std::vector<Host>& hosts() const { return hosts_; }
  [[nodiscard]] const std::vector<Router>& routers() const { return routers_; }
  [[nodiscard]] const std::vector<Link>& links() const { return links_; }

  [[nodiscard]] std::optional<HostIndex> host_named(std::string_view name) const;
  // Hosts that `name` stands for: one host, all of a metro, all of a region, or "all". Empty: nobody has that
  // name.
  [[nodiscard]] std::vector<HostIndex> hosts_named(std::string_view name) const;

  // Routers that a packet crosses from one host to another, in order; at least one. A host has no path to
  // itself.
  [[nodiscard]] std::vector<Hop> path(HostIndex from, HostIndex to) const;
  // The same to a router, which is the last of them.
  [[nodiscard]] std::vector<Hop> path_to_router(HostIndex from, RouterIndex to) const;
  // One way, host to host; zero to itself.
  [[nodiscard]] Duration delay(HostIndex from, HostIndex to) const;

 private:
  void add_metro(const TopologyOptions& options, std::size_t number, std::string_view region,
                 std::string_view name, class TopologyRandom& random);
  void connect_cores(class TopologyRandom& random);
  void find_paths();
  [[nodiscard]] std::vector<RouterIndex> routers_between(RouterIndex from, RouterIndex to) const;
  [[nodiscard]] Duration router_delay(RouterIndex from, RouterIndex to) const;

  std::vector<Host> hosts_;
  std::vector<Router> routers_;
  std::vector<Link> links_;
  std::vector<RouterIndex> cores_;  // one per metro
  // From each router (row): the router before each other one (column) on the way to it, and the time to it.
  std::vector<RouterIndex> previous_;
  std::vector<Duration> reach_;
};

}  // namespace reef::wan
