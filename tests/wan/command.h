// The words by which an experiment changes the emulated Internet, one line each:
//
//   cap WHO up|down BITS_PER_S|off [QUEUE_BYTES [fifo|fair]]   rate of the access lines (384k, 10m, 1g) and
//   the queue loss WHO up|down SHARE                         0..1, of the packets that leave or reach WHO
//   partition WHO WHO                              nothing passes between the two, in silence
//   heal                                           ends all partitions
//   down WHO / up WHO                              the host's line is dead, in silence / as before
//   unreachable WHO                                its router answers "host unreachable"; `up` ends it
//   silent ROUTER_ADDRESS on|off                   whether that router ever answers
//   count PORT                                     counts packets between hosts to that UDP port, and TCP
//   connections to it, from zero; 0: no longer
//   counts                                         who sent whom how many packets and bytes since `count`
//   route HOST HOST                                the modelled path: routers and round trips
//
// WHO is a host, a metro, a region or "all".
#pragma once

#include <string>
#include <string_view>

#include "tests/wan/network.h"
#include "tests/wan/topology.h"

namespace reef::wan {

// Carries `line` out. Returns one line of JSON: {"ok":true,...}; an error says what was wrong and changes
// nothing.
[[nodiscard]] Result<std::string> run_command(std::string_view line, const Topology& topology,
                                              Network& network);

}  // namespace reef::wan
