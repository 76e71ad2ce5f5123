// What the index answers on the admin listener, as JSON. Belongs to the control loop.
#pragma once

#include <string_view>
#include <vector>

#include "dsht/io/udp_node.h"
#include "node/json.h"

namespace reef::node {

// {"key", "values": [...], "level", "hops", "reached_bits", "end"}
[[nodiscard]] Json found_json(const Key& key, const dsht::Found& found);
// The same with "why" (the end in words) and "steps", in the order in which they were sent.
[[nodiscard]] Json walk_json(const Key& key, const dsht::GetDone& done);
// {"key", "earlier": [...], "level", "stored", "end"}
[[nodiscard]] Json announced_json(const Key& key, const dsht::Announced& announced);
// One object for each, in the same order.
[[nodiscard]] Json peers_json(const std::vector<dsht::Neighbour>& neighbours, TimePoint now);
// One object for each level that the node takes part in, level 0 first.
[[nodiscard]] Json clusters_json(const dsht::UdpNode& node, TimePoint now);
// Of node and shell, by name.
[[nodiscard]] Json counters_json(const dsht::UdpNode& node);

// As in the log and the counters.
[[nodiscard]] std::string_view to_text(dsht::WalkEnd end);

}  // namespace reef::node
