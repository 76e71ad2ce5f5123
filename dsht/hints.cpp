#include "dsht/hints.h"

#include <algorithm>

namespace reef::dsht {
namespace {

constexpr int kV4PrefixBits = 24;
constexpr int kV6PrefixBits = 48;
constexpr std::string_view kNear = "near ";

// The routers of all traces, nearest first. The target itself is none.
std::vector<IpAddress> routers(std::span<const probe::TraceResult> traces, const HintOptions& options,
                               Duration within = Duration::max()) {
  std::vector<IpAddress> out;
  for (int ttl = 1; ttl <= options.hops_max; ++ttl) {
    for (const probe::TraceResult& trace : traces) {
      const auto hop = std::find_if(trace.hops.begin(), trace.hops.end(),
                                    [ttl](const probe::Hop& h) { return h.ttl == ttl; });
      if (hop == trace.hops.end() || !hop->address || !says_where(*hop->address, options)) continue;
      if (trace.end == probe::TraceEnd::reached && hop + 1 == trace.hops.end()) continue;
      if (hop->rtt > within) continue;
      out.push_back(*hop->address);
    }
  }
  return out;
}

}  // namespace

std::string prefix_name(const IpAddress& address) {
  return to_string(IpPrefix::around(address, address.is_v4() ? kV4PrefixBits : kV6PrefixBits));
}

std::vector<RouteName> route_names(const probe::TraceResult& trace, const HintOptions& options,
                                   Duration within) {
  if (trace.hops.empty()) return {};
  struct Router {
    IpAddress address;
    int hops;
    Duration away;
  };
  const bool is_reached = trace.end == probe::TraceEnd::reached;
  const int target_ttl = trace.hops.back().ttl + (is_reached ? 0 : 1);
  const Duration target_rtt = trace.hops.back().rtt;
  std::vector<Router> routers;
  for (auto hop = trace.hops.rbegin() + (is_reached ? 1 : 0); hop != trace.hops.rend(); ++hop) {
    const int hops = target_ttl - hop->ttl;
    if (hops > options.hops_max) break;
    if (!hop->address || !says_where(*hop->address, options)) continue;
    routers.push_back({*hop->address, hops, target_rtt - hop->rtt});
  }
  std::vector<RouteName> out;
  const auto add = [&out](std::string name, int rank, Duration beyond) {
    const bool is_known =
        std::any_of(out.begin(), out.end(), [&](const RouteName& known) { return known.name == name; });
    if (!is_known) out.push_back({std::move(name), rank, std::max(beyond, Duration::zero())});
  };
  for (const bool is_near : {true, false}) {
    const std::string before = is_near ? std::string(kNear) : std::string();
    const Duration limit = is_near ? options.near : within;
    const int rank = is_near ? 0 : kPlainRank;
    for (const Router& r : routers) {
      if (r.away <= limit) add(before + to_string(r.address), rank + r.hops, r.away);
    }
    for (const Router& r : routers) {
      if (r.away <= limit) add(before + prefix_name(r.address), rank + r.hops, r.away);
    }
  }
  return out;
}

std::vector<std::string> near_names(std::span<const probe::TraceResult> traces, const HintOptions& options) {
  std::vector<std::string> out;
  const auto add = [&out](std::string name) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  };
  const std::vector<IpAddress> near = routers(traces, options, options.near);
  for (const IpAddress& router : near) add(std::string(kNear) + to_string(router));
  for (const IpAddress& router : near) add(std::string(kNear) + prefix_name(router));
  return out;
}

bool says_where(const IpAddress& address, const HintOptions& options) {
  return address.is_global_unicast() ||
         std::any_of(options.also.begin(), options.also.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

std::vector<std::string> hint_names(std::span<const IpAddress> own,
                                    std::span<const probe::TraceResult> traces, const HintOptions& options) {
  std::vector<std::string> out;
  const auto add = [&out](std::string name) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  };
  for (const IpAddress& address : own) {
    if (says_where(address, options)) add(prefix_name(address));
  }
  const std::vector<IpAddress> near = routers(traces, options);
  for (const IpAddress& router : near) add(to_string(router));
  for (const IpAddress& router : near) add(prefix_name(router));
  return out;
}

}  // namespace reef::dsht
