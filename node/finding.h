// What a node found out about where a client network is.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "dsht/contact.h"
#include "dsht/hints.h"

namespace reef::node {

// From what the level follows; the later the better.
enum class FindingSource : std::uint8_t { none, route, prefix, rtt };
[[nodiscard]] const char* to_string(FindingSource source);

// A node near a client network.
struct NearNode {
  dsht::Contact contact;
  int rank = 0;  // of the hint that named it (dsht::RouteName); 0: it is in the client's own network
  // Round trip between it and the client, reckoned from ours to both and to the router where they part.
  std::optional<Duration> away;
  bool operator==(const NearNode&) const = default;
};

struct Finding {
  dsht::Level level = 0;  // of us: 2 below 20 ms, 1 below 60 ms
  FindingSource source = FindingSource::none;
  std::optional<Duration> rtt;  // the one that the level follows from
  // The routers next to it, as a trace showed them; nullopt: none was made. They are where to look for nodes
  // near it without probing it again.
  std::optional<std::vector<dsht::RouteName>> route;
  // The nearest first: of its own network, under a router near it, under one on its way; then by `away`.
  std::vector<NearNode> near;

  bool operator==(const Finding&) const = default;
};

}  // namespace reef::node
