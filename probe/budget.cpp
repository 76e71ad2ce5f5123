#include "probe/budget.h"

#include <algorithm>

namespace reef::probe {
namespace {

bool in_any(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const IpPrefix& p) { return p.contains(address); });
}

}  // namespace

bool Budget::is_allowed(const IpAddress& target) const {
  if (in_any(options_.never, target)) return false;
  return target.is_global_unicast() || in_any(options_.also_allowed, target);
}

Budget::Verdict Budget::take(TimePoint now, const IpAddress& target, double packets) {
  if (!is_allowed(target)) return Verdict::not_allowed;
  const double idle = std::chrono::duration<double>(now - filled_at_).count();
  packets_ = std::min(options_.packets_burst, packets_ + std::max(idle, 0.0) * options_.packets_per_second);
  filled_at_ = now;
  if (packets_ < packets) return Verdict::packets_spent;

  const IpAddress key =
      IpPrefix::around(target, target.is_v4() ? options_.v4_network_bits : options_.v6_network_bits).address;
  auto network = networks_.find(key);
  if (network == networks_.end()) {
    if (!make_room(now)) return Verdict::network_spent;
    network = networks_.emplace(key, Network{now, 0}).first;
  } else if (now - network->second.since >= options_.network_interval) {
    network->second = {now, 0};
  }
  if (network->second.taken >= options_.per_network) return Verdict::network_spent;
  ++network->second.taken;
  packets_ -= packets;
  return Verdict::granted;
}

void Budget::give_back(double packets) { packets_ = std::min(options_.packets_burst, packets_ + packets); }

bool Budget::make_room(TimePoint now) {
  if (networks_.size() < options_.networks_max) return true;
  std::erase_if(networks_, [&](const auto& n) { return now - n.second.since >= options_.network_interval; });
  return networks_.size() < options_.networks_max;
}

}  // namespace reef::probe
