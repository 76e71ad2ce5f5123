#include "node/seeds.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

#include "base/io/log.h"

namespace reef::node {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};

}  // namespace

std::vector<Endpoint> resolve_seeds(const std::vector<config::HostPort>& seeds) {
  std::vector<Endpoint> out;
  const auto add = [&out](const Endpoint& endpoint) {
    if (std::find(out.begin(), out.end(), endpoint) == out.end()) out.push_back(endpoint);
  };
  for (const config::HostPort& seed : seeds) {
    if (const auto literal = IpAddress::parse(seed.host)) {
      add({*literal, seed.port});
      continue;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* list = nullptr;
    if (const int status = getaddrinfo(seed.host.c_str(), nullptr, &hints, &list); status != 0) {
      log::warn("node", "seed {} cannot be resolved: {}", seed.host, gai_strerror(status));
      continue;
    }
    const std::unique_ptr<addrinfo, FreeAddresses> owned(list);
    for (const addrinfo* found = list; found != nullptr; found = found->ai_next) {
      add({Endpoint::from(found->ai_addr).address, seed.port});
    }
  }
  return out;
}

}  // namespace reef::node
