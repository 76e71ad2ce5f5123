// Names of seeds to endpoints. Blocks on the system's resolver: for the disk pool, never for a loop.
#pragma once

#include <vector>

#include "base/ip.h"
#include "config/settings.h"

namespace reef::node {

// All addresses of all seeds that could be resolved, without repetition. What could not is logged, one line
// each.
[[nodiscard]] std::vector<Endpoint> resolve_seeds(const std::vector<config::HostPort>& seeds);

}  // namespace reef::node
