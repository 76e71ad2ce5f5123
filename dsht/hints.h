// Hints: where a node is, in words that its neighbours would use too. A node is put under each of them in the
// index, so that a newcomer finds those near it before it has measured anybody (NSDI 2004, §4.2).
//
// The words: the node's own /24 (IPv6 /48), the public routers up to five hops out, and their /24 (/48)
// prefixes, since paths to and fro often share a network but not the interface that answers. Addresses that
// are not public mean different things in different places and are left out, unless they lie in `also`
// (laboratories). Pure.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "probe/trace.h"

namespace reef::dsht {

struct HintOptions {
  int hops_max = 5;
  std::vector<IpPrefix> also;
  // Two hosts that are both within this round trip of a router are within twice as much of each other: half
  // of what makes a level-2 cluster.
  Duration near = std::chrono::milliseconds(10);
};

// Whether an address means the same place to everybody: it is public, or in `also`.
[[nodiscard]] bool says_where(const IpAddress& address, const HintOptions& options);

// The network of an address as a hint: "192.0.2.0/24", "2001:db8::/48".
[[nodiscard]] std::string prefix_name(const IpAddress& address);

// Names under which nodes near the target of a trace may stand, of the last `hops_max` routers before it: the
// names of those within `near` of it (near_names()), the router next to it first, then their prefixes in the
// same order; then likewise the plain names of those within `within`. How far a router is from the target is
// taken from how much further the target is from us. Empty: nobody near the target answered.
struct RouteName {
  std::string name;
  int rank = 0;  // hops that its router lies before the target, 1: next to it; plain names: kPlainRank more
  Duration beyond{};  // by how much the target is further from us than its router
  bool operator==(const RouteName&) const = default;
};
[[nodiscard]] std::vector<RouteName> route_names(const probe::TraceResult& trace, const HintOptions& options,
                                                 Duration within);

inline constexpr int kPlainRank = 32;

// The names, as "near 192.0.2.1", of the routers within `near` of us and of their prefixes. Who stands under
// one of them is near whoever else does, which a plain name does not say: the fifth router of a way may be on
// another continent.
[[nodiscard]] std::vector<std::string> near_names(std::span<const probe::TraceResult> traces,
                                                  const HintOptions& options);

// Names for key_of(KeyDomain::hint, …), most specific first, each once: our own prefixes, then routers by
// their distance, then the routers' prefixes. An address stands as its text, a prefix as "192.0.2.0/24". The
// target of a trace is no router. Empty: nothing known says where we are.
[[nodiscard]] std::vector<std::string> hint_names(std::span<const IpAddress> own,
                                                  std::span<const probe::TraceResult> traces,
                                                  const HintOptions& options);

}  // namespace reef::dsht
