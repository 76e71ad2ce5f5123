// The index on the admin listener: /api/peers, /api/cluster and /api/dht/...
//
// Wrong parameters are answered 400 with {"error": what is wrong and what is allowed}.
#pragma once

#include "base/io/event_loop.h"
#include "dsht/io/udp_node.h"
#include "node/admin.h"

namespace reef::node {

// All belong to the control loop; `loop` and `index` must outlive `admin`.
void add_index_routes(Admin& admin, EventLoop& loop, dsht::UdpNode& index);

}  // namespace reef::node
