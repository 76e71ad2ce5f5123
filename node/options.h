// From what the node was told to what each part is told: the only place where configuration meets the parts.
#pragma once

#include "base/result.h"
#include "config/settings.h"
#include "dnsd/io/server.h"
#include "dsht/io/udp_node.h"
#include "node/guide.h"
#include "node/hint_keeper.h"
#include "probe/io/prober.h"
#include "proxy/io/options.h"
#include "proxy/store/store.h"

namespace reef::node {

// How many workers `settings` asks for: at least 1.
[[nodiscard]] int worker_count(const config::Settings& settings);

// What a node's proxy calls itself, in Via and to visitors: "reef-" and the first 12 digits of the id.
[[nodiscard]] std::string node_name(const NodeId& id);

// Shares of RAM are for one worker of `workers`.
[[nodiscard]] proxy::Options proxy_options(const config::Settings& settings, const NodeId& id, int workers);
[[nodiscard]] probe::ProberOptions prober_options(const config::Settings& settings);
[[nodiscard]] proxy::StoreOptions store_options(const config::Settings& settings);
// Fails when zone or suffix is no domain name.
[[nodiscard]] Result<dnsd::Options> dns_options(const config::Settings& settings);
// Seeds are left out: their names have to be resolved first.
[[nodiscard]] dsht::UdpNodeOptions dsht_options(const config::Settings& settings);
// `dnsd`: from dns_options(). Its ports are left out: they are known once the listeners are up.
[[nodiscard]] GuideOptions guide_options(const config::Settings& settings, const dnsd::Options& dnsd);
[[nodiscard]] HintKeeperOptions hint_options(const config::Settings& settings);

}  // namespace reef::node
