#include "tests/wan/topology.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "base/check.h"
#include "base/random.h"
#include "tests/wan/gazetteer.h"

namespace reef::wan {

// The draws that a topology is made of; all delays are whole microseconds, so that they print exactly.
class TopologyRandom {
 public:
  explicit TopologyRandom(std::uint64_t seed) : random_(seed) {}

  Duration delay(Duration low, Duration high) {
    return std::chrono::duration_cast<std::chrono::microseconds>(random_.between(low, high));
  }
  double between(double low, double high) { return low + (high - low) * random_.unit(); }
  std::uint8_t octet(std::uint8_t low, std::uint8_t count) {
    return static_cast<std::uint8_t>(low + random_.below(count));
  }
  bool chance(double share) { return random_.unit() < share; }

 private:
  Random random_;
};

namespace {

using std::chrono::microseconds;

// First octets of the metros' blocks. All globally routable, so that probers and proxies that refuse private
// addresses treat them as they would on the Internet; nothing leaves the namespaces.
constexpr std::uint8_t kBlocks[] = {23,  38,  62,  67,  81,  85,  91,  101, 109, 119, 126, 133,
                                    143, 150, 163, 173, 177, 181, 186, 190, 200, 202, 209, 212};
constexpr double kKmPerMs = 200.0;  // light in fibre, about 2/3 c

const City& city_named(std::string_view name) {
  const auto found = std::ranges::find(cities(), name, &City::name);
  BASE_CHECK(found != cities().end());
  return *found;
}

Error check(const TopologyOptions& options) {
  const auto in = [](auto value, auto low, auto high) { return value >= low && value <= high; };
  if (!in(options.regions, 1, static_cast<int>(regions().size())))
    return invalid("regions: 1..6 are allowed");
  if (!in(options.metros, 1, 4)) return invalid("metros: 1..4 are allowed");
  if (!in(options.hosts, 1, 240)) return invalid("hosts: 1..240 are allowed");
  if (!in(options.silent_share, 0.0, 1.0)) return invalid("silent-share: 0..1 is allowed");
  if (options.last_mile_min < Duration::zero() || options.last_mile_max < options.last_mile_min) {
    return invalid("last mile: the minimum must be positive and not above the maximum");
  }
  return {};
}

}  // namespace

Result<Topology> Topology::generate(const TopologyOptions& options) {
  if (Error error = check(options); error.code) return fail(std::move(error));
  Topology topology;
  TopologyRandom random(options.seed);
  std::size_t number = 0;
  for (int region = 0; region < options.regions; ++region) {
    int taken = 0;
    for (const City& city : cities()) {
      if (city.region != regions()[static_cast<std::size_t>(region)] || taken == options.metros) continue;
      topology.add_metro(options, number++, city.region, city.name, random);
      ++taken;
    }
  }
  topology.connect_cores(random);
  topology.find_paths();
  return topology;
}

void Topology::add_metro(const TopologyOptions& options, std::size_t number, std::string_view region,
                         std::string_view name, TopologyRandom& random) {
  const std::uint8_t first = kBlocks[number];
  const std::uint8_t second = random.octet(16, 200);
  // 2a0e:<block>:<subnet>::<last>: the IPv4 numbers, so that a reader of a trace recognizes both.
  const auto v6 = [&](std::uint8_t third, std::uint8_t fourth) {
    return IpAddress::v6({0x2a, 0x0e, first, second, 0, third, 0, 0, 0, 0, 0, 0, 0, 0, 0, fourth});
  };
  const auto add_router = [&](std::uint8_t third, std::uint8_t fourth, Tier tier) {
    routers_.push_back({IpAddress::v4(first, second, third, fourth), v6(third, fourth), std::string(name),
                        std::string(region), tier, random.chance(options.silent_share)});
    return static_cast<RouterIndex>(routers_.size() - 1);
  };
  const RouterIndex core = add_router(255, 1, Tier::core);
  cores_.push_back(core);
  RouterIndex aggregation[2];
  for (std::uint8_t i = 0; i < 2; ++i) {
    aggregation[i] = add_router(254, static_cast<std::uint8_t>(i + 1), Tier::aggregation);
    links_.push_back({core, aggregation[i], random.delay(microseconds(50), microseconds(200))});
  }
  for (int i = 0; i < options.hosts; ++i) {
    const auto subnet = static_cast<std::uint8_t>(i + 1);
    const RouterIndex access = add_router(subnet, 1, Tier::access);
    links_.push_back({aggregation[i % 2], access, random.delay(microseconds(100), microseconds(400))});
    hosts_.push_back({std::string(name) + "-" + std::to_string(i), std::string(name), std::string(region),
                      IpAddress::v4(first, second, subnet, 10), v6(subnet, 10), access,
                      random.delay(options.last_mile_min, options.last_mile_max)});
  }
}

void Topology::connect_cores(TopologyRandom& random) {
  const auto connect = [&](RouterIndex a, RouterIndex b, double stretch) {
    for (const Link& link : links_) {
      if ((link.a == a && link.b == b) || (link.a == b && link.b == a)) return;
    }
    const double km = distance_km(city_named(routers_[a].metro), city_named(routers_[b].metro));
    const double ms = 0.1 + km / kKmPerMs * stretch * random.between(0.95, 1.05);
    links_.push_back({a, b, microseconds(static_cast<std::int64_t>(ms * 1000))});
  };
  constexpr double kRegionalStretch = 1.5;
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    for (std::size_t j = i + 1; j < cores_.size(); ++j) {
      if (routers_[cores_[i]].region == routers_[cores_[j]].region)
        connect(cores_[i], cores_[j], kRegionalStretch);
    }
  }
  const auto of_region = [&](std::string_view region) {
    std::vector<RouterIndex> out;
    std::ranges::copy_if(cores_, std::back_inserter(out),
                         [&](RouterIndex r) { return routers_[r].region == region; });
    return out;
  };
  for (const Corridor& corridor : corridors()) {
    const auto from = of_region(corridor.a);
    const auto to = of_region(corridor.b);
    if (from.empty() || to.empty()) continue;
    // Two cables: between the closest cities, and between the regions' first ones.
    auto best = std::pair(from[0], to[0]);
    double least = std::numeric_limits<double>::max();
    for (RouterIndex a : from) {
      for (RouterIndex b : to) {
        const double km = distance_km(city_named(routers_[a].metro), city_named(routers_[b].metro));
        if (km < least) least = km, best = {a, b};
      }
    }
    connect(best.first, best.second, corridor.stretch);
    connect(from[0], to[0], corridor.stretch);
  }
}

// Dijkstra from every router. A few hundred routers with few links each: tens of milliseconds, once.
void Topology::find_paths() {
  const std::size_t count = routers_.size();
  std::vector<std::vector<std::pair<RouterIndex, Duration>>> neighbours(count);
  for (const Link& link : links_) {
    neighbours[link.a].emplace_back(link.b, link.delay);
    neighbours[link.b].emplace_back(link.a, link.delay);
  }
  previous_.assign(count * count, 0);
  reach_.assign(count * count, Duration::max());
  using Entry = std::pair<Duration, RouterIndex>;
  for (RouterIndex from = 0; from < count; ++from) {
    Duration* reach = &reach_[from * count];
    RouterIndex* previous = &previous_[from * count];
    reach[from] = Duration::zero();
    previous[from] = from;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    queue.emplace(Duration::zero(), from);
    while (!queue.empty()) {
      const auto [at, router] = queue.top();
      queue.pop();
      if (at > reach[router]) continue;
      for (const auto& [next, delay] : neighbours[router]) {
        if (at + delay < reach[next]) {
          reach[next] = at + delay;
          previous[next] = router;
          queue.emplace(at + delay, next);
        }
      }
    }
  }
}

Duration Topology::router_delay(RouterIndex from, RouterIndex to) const {
  return reach_[from * routers_.size() + to];
}

// Both directions are read from the tree of the lower index, so that equal alternatives cannot make them
// differ.
std::vector<RouterIndex> Topology::routers_between(RouterIndex from, RouterIndex to) const {
  const RouterIndex root = std::min(from, to);
  std::vector<RouterIndex> out;
  for (RouterIndex at = std::max(from, to);; at = previous_[root * routers_.size() + at]) {
    out.push_back(at);
    if (at == root) break;
  }
  if (from == root) std::ranges::reverse(out);
  return out;
}

std::vector<Hop> Topology::path_to_router(HostIndex from, RouterIndex to) const {
  const Host& sender = hosts_[from];
  std::vector<Hop> out;
  for (RouterIndex router : routers_between(sender.access, to)) {
    out.push_back({router, sender.last_mile + router_delay(sender.access, router)});
  }
  return out;
}

std::vector<Hop> Topology::path(HostIndex from, HostIndex to) const {
  BASE_CHECK(from != to);
  return path_to_router(from, hosts_[to].access);
}

Duration Topology::delay(HostIndex from, HostIndex to) const {
  if (from == to) return Duration::zero();
  const Host& a = hosts_[from];
  const Host& b = hosts_[to];
  return a.last_mile + router_delay(a.access, b.access) + b.last_mile;
}

std::optional<HostIndex> Topology::host_named(std::string_view name) const {
  const auto found = std::ranges::find(hosts_, name, &Host::name);
  if (found == hosts_.end()) return std::nullopt;
  return static_cast<HostIndex>(found - hosts_.begin());
}

std::vector<HostIndex> Topology::hosts_named(std::string_view name) const {
  std::vector<HostIndex> out;
  for (HostIndex i = 0; i < hosts_.size(); ++i) {
    const Host& host = hosts_[i];
    if (name == "all" || name == host.name || name == host.metro || name == host.region) out.push_back(i);
  }
  return out;
}

}  // namespace reef::wan
