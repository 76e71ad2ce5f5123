// From what the node was told to what each part is told: the only place where configuration meets the parts.
#pragma once

#include "base/result.h"
#include "config/settings.h"
#include "dnsd/io/server.h"
#include "dsht/io/udp_node.h"
#include "node/hint_keeper.h"
#include "probe/io/prober.h"
#include "proxy/io/options.h"
#include "proxy/store/store.h"

namespace reef::node {

// How many workers `settings` asks for: at least 1.
[[nodiscard]] int worker_count(const config::Settings& settings);

// Shares of RAM are for one worker of `workers`.
[[nodiscard]] proxy::Options proxy_options(const config::Settings& settings, const NodeId& id, int workers);
[[nodiscard]] probe::ProberOptions prober_options(const config::Settings& settings);
[[nodiscard]] proxy::StoreOptions store_options(const config::Settings& settings);
// Fails when zone or suffix is no domain name.
[[nodiscard]] Result<dnsd::Options> dns_options(const config::Settings& settings);
// Seeds are left out: their names have to be resolved first.
[[nodiscard]] dsht::UdpNodeOptions dsht_options(const config::Settings& settings);
[[nodiscard]] HintKeeperOptions hint_options(const config::Settings& settings);

}  // namespace reef::node
