#include "dnsd/view.h"

#include <algorithm>

namespace reef::dnsd {
namespace {

void add_once(View::Service& service, const IpAddress& address) {
  auto& list = address.is_v4() ? service.v4 : service.v6;
  if (std::find(list.begin(), list.end(), address) == list.end()) list.push_back(address);
}

bool nearer(const Candidate& a, const Candidate& b) {
  if (a.level != b.level) return a.level > b.level;
  return a.rtt.value_or(Duration::max()) < b.rtt.value_or(Duration::max());
}

}  // namespace

View::View(std::vector<Candidate> candidates, std::vector<IpAddress> own, std::uint32_t serial)
    : candidates_(std::move(candidates)), serial_(serial) {
  std::erase_if(candidates_, [](const Candidate& c) { return c.address.is_unspecified(); });
  std::erase_if(own, [](const IpAddress& a) { return a.is_unspecified(); });
  std::stable_sort(candidates_.begin(), candidates_.end(), nearer);
  for (const IpAddress& address : own) add_once(name_servers_, address);
  for (const Candidate& candidate : candidates_) {
    if (candidate.services & dsht::kServiceProxy) add_once(proxies_, candidate.address);
    if (candidate.services & dsht::kServiceDns) add_once(name_servers_, candidate.address);
  }
  const bool no_v4 = proxies_.v4.empty(), no_v6 = proxies_.v6.empty();
  for (const IpAddress& address : own) {
    if (address.is_v4() ? no_v4 : no_v6) add_once(proxies_, address);
  }
}

}  // namespace reef::dnsd
