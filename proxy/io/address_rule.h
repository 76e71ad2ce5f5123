// Which addresses this node may connect to for others (security: a stranger chooses the names, so only what
// is public is reachable, and never the node itself).
#pragma once

#include <algorithm>
#include <vector>

#include "base/ip.h"

namespace reef::proxy {

struct AddressRule {
  std::vector<IpPrefix> allowed;         // opened by the configuration although not public
  std::vector<IpAddress> own_addresses;  // refused unless in `allowed`
  std::vector<Endpoint> own_endpoints;   // always refused: a request to ourselves would loop
  bool private_network = false;  // any unicast address will do (for peers of a node with a private address)

  [[nodiscard]] bool permits(const Endpoint& to) const {
    if (to.port == 0 || to.address.is_unspecified()) return false;
    for (const Endpoint& own : own_endpoints) {
      if (own.port == to.port &&
          (own.address == to.address || (own.address.is_unspecified() && to.address.is_loopback()))) {
        return false;
      }
    }
    for (const IpPrefix& prefix : allowed) {
      if (prefix.contains(to.address)) return true;
    }
    if (std::find(own_addresses.begin(), own_addresses.end(), to.address) != own_addresses.end())
      return false;
    return private_network || to.address.is_global_unicast();
  }
};

}  // namespace reef::proxy
