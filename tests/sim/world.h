// What the simulator's test cases share: a settled network, and how they name things.
#pragma once

#include <string>

#include "tests/sim/network.h"

namespace reef::sim {

// Options for many nodes in one process: smaller tables of rate limits.
dsht::NodeOptions many_nodes();

// `count` hosts that joined through host 0, `apart` from each other, and had a minute to settle.
std::vector<Host> settled_network(Network& network, std::size_t count, Duration apart);

// A random key.
Key some_key(Network& network);

// A random host that is up.
Host some_host(Network& network);

}  // namespace reef::sim
