#include "tests/wan/network.h"

#include <algorithm>
#include <functional>

namespace reef::wan {

Network::Network(const Topology& topology, const NetworkOptions& options)
    : topology_(topology), options_(options), random_(options.seed), hosts_(topology.hosts().size()) {
  for (std::uint32_t i = 0; i < topology.hosts().size(); ++i) {
    owners_[topology.hosts()[i].address] = {false, i};
    owners_[topology.hosts()[i].address6] = {false, i};
  }
  for (std::uint32_t i = 0; i < topology.routers().size(); ++i) {
    const Router& router = topology.routers()[i];
    owners_[router.address] = {true, i};
    owners_[router.address6] = {true, i};
    silent_.push_back(router.silent);
  }
}

void Network::on_packet(TimePoint now, HostIndex from, ByteView packet) {
  ++counters_.received;
  const auto info = parse_packet(packet);
  if (!info) {
    ++counters_.malformed;
    return;
  }
  if (counted_port_ != 0) count(from, packet, *info);
  Endpoint& sender = hosts_[from];
  if (sender.reach != Reach::up) {
    ++counters_.cut;
    return;
  }
  if (is_lost(sender.up)) {
    ++counters_.lost;
    return;
  }
  if (sender.up.shaper.cap().fair) {
    queue_fairly(now, from, Direction::up, packet, flow_of(packet, *info));
    return;
  }
  const auto left = sender.up.shaper.pass(now, packet.size());
  if (!left) {
    ++counters_.queue_full;
    return;
  }
  route(*left, from, packet, *info);
}

void Network::count(HostIndex from, ByteView packet, const PacketInfo& info) {
  if (asked_port(packet, info) != counted_port_) return;
  const auto owner = owners_.find(info.destination);
  if (owner == owners_.end() || owner->second.is_router) return;
  Tally& tally = tallies_[{from, owner->second.index}];
  ++tally.packets;
  tally.bytes += packet.size();
}

void Network::count_port(std::uint16_t port) {
  counted_port_ = port;
  tallies_.clear();
}

void Network::route(TimePoint left, HostIndex from, ByteView packet, const PacketInfo& info) {
  const auto owner = owners_.find(info.destination);
  if (owner == owners_.end()) {
    // Nobody has this address: the first router has no route. Link-local chatter of the kernel is not
    // answered.
    const Hop first{topology_.hosts()[from].access, topology_.hosts()[from].last_mile};
    if (info.destination.is_global_unicast()) {
      answer(left, from, first, packet, info, IcmpError::network_unreachable);
    }
  } else if (owner->second.is_router) {
    route_to_router(left, from, owner->second.index, packet, info);
  } else {
    route_to_host(left, from, owner->second.index, packet, info);
  }
}

void Network::route_to_host(TimePoint left, HostIndex from, HostIndex to, ByteView packet,
                            const PacketInfo& info) {
  if (from == to) {  // the kernel keeps these to itself; a raw socket could still send one
    ++counters_.malformed;
    return;
  }
  const std::vector<Hop>& hops = path(from, to);
  // Routers before the cut could still answer; where it runs is not modelled, so a cut path is silent as a
  // whole.
  if (is_cut(from, to)) {
    ++counters_.cut;
    return;
  }
  if (info.ttl <= hops.size()) {
    const std::size_t last = info.ttl == 0 ? 0 : info.ttl - 1u;
    answer(left, from, hops[last], packet, info, IcmpError::time_exceeded);
    return;
  }
  if (hosts_[to].reach == Reach::unreachable) {
    answer(left, from, hops.back(), packet, info, IcmpError::host_unreachable);
    return;
  }
  Bytes arriving(packet.begin(), packet.end());
  set_ttl(arriving, static_cast<std::uint8_t>(info.ttl - hops.size()));
  schedule(left + hops.back().delay + topology_.hosts()[to].last_mile, to, arriving, Step::arrived);
}

void Network::route_to_router(TimePoint left, HostIndex from, RouterIndex to, ByteView packet,
                              const PacketInfo& info) {
  const std::vector<Hop> hops = topology_.path_to_router(from, to);
  if (info.ttl < hops.size()) {
    const std::size_t last = info.ttl == 0 ? 0 : info.ttl - 1u;
    answer(left, from, hops[last], packet, info, IcmpError::time_exceeded);
    return;
  }
  if (silent_[to] || !may_have_error(packet, info)) return;
  if (auto reply = answer_as_router(packet, info))
    schedule(left + 2 * hops.back().delay, from, *reply, Step::arrived);
}

void Network::answer(TimePoint left, HostIndex to, const Hop& hop, ByteView packet, const PacketInfo& info,
                     IcmpError error) {
  if (silent_[hop.router] || !may_have_error(packet, info)) return;
  ++counters_.icmp_errors;
  const Router& router = topology_.routers()[hop.router];
  const IpAddress& address = info.source.is_v4() ? router.address : router.address6;
  schedule(left + 2 * hop.delay, to, icmp_error(packet, info, address, error), Step::arrived);
}

bool Network::schedule(TimePoint at, HostIndex host, ByteView packet, Step step, bool from_fair_line) {
  if (heap_.size() >= options_.packets_max) {
    ++counters_.overruns;
    return false;
  }
  Slot slot;
  if (free_slots_.empty()) {
    slot = static_cast<Slot>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].assign(packet.begin(), packet.end());
  push({at, order_++, slot, host, step, from_fair_line});
  return true;
}

void Network::push(const Event& event) {
  heap_.push_back(event);
  std::ranges::push_heap(heap_, std::greater<>{});
}

std::optional<TimePoint> Network::next_deadline() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

void Network::queue_fairly(TimePoint now, HostIndex host, Direction direction, ByteView packet,
                           std::uint64_t flow) {
  Line& on = line(host, direction);
  counters_.queue_full += on.waiting.push(flow, Bytes(packet.begin(), packet.end()));
  if (!on.busy) start_line(now, host, direction);
}

void Network::start_line(TimePoint now, HostIndex host, Direction direction) {
  Line& on = line(host, direction);
  const auto packet = on.waiting.pop();
  on.busy = false;
  if (!packet) return;
  const Step step = direction == Direction::up ? Step::left_uplink : Step::left_downlink;
  on.busy = schedule(now + time_on_line(on.shaper.cap(), packet->size()), host, *packet, step, true);
}

// At the downlink's queue.
bool Network::arrive(Event& event) {
  Endpoint& receiver = hosts_[event.host];
  const ByteView packet = slots_[event.slot];
  if (receiver.reach != Reach::up) {
    ++counters_.cut;
    return false;
  }
  if (is_lost(receiver.down)) {
    ++counters_.lost;
    return false;
  }
  if (receiver.down.shaper.cap().fair) {
    queue_fairly(event.at, event.host, Direction::down, packet, flow_of(packet, *parse_packet(packet)));
    return false;
  }
  const TimePoint arrived = event.at;
  const auto left = receiver.down.shaper.pass(arrived, packet.size());
  if (!left) {
    ++counters_.queue_full;
    return false;
  }
  event.at = *left;
  if (event.at == arrived) return true;
  schedule(event.at, event.host, packet, Step::left_downlink);
  return false;
}

bool Network::step(Event& event) {
  switch (event.step) {
    case Step::left_uplink: {
      const Bytes packet = slots_[event.slot];  // routing may move the slots
      start_line(event.at, event.host, Direction::up);
      route(event.at, event.host, packet, *parse_packet(packet));
      return false;
    }
    case Step::arrived:
      return arrive(event);
    case Step::left_downlink:
      if (event.from_fair_line) start_line(event.at, event.host, Direction::down);
      return true;
  }
  return false;
}

std::optional<Network::Delivery> Network::next_due(TimePoint now) {
  if (delivered_slot_) {
    free_slots_.push_back(*delivered_slot_);
    delivered_slot_.reset();
  }
  while (!heap_.empty() && heap_.front().at <= now) {
    std::ranges::pop_heap(heap_, std::greater<>{});
    Event event = heap_.back();
    heap_.pop_back();
    if (!step(event)) {
      free_slots_.push_back(event.slot);
      continue;
    }
    delivered_slot_ = event.slot;
    ++counters_.delivered;
    return Delivery{event.host, event.at, slots_[event.slot]};
  }
  return std::nullopt;
}

const std::vector<Hop>& Network::path(HostIndex from, HostIndex to) {
  const std::uint64_t pair = static_cast<std::uint64_t>(from) << 32 | to;
  const auto found = paths_.find(pair);
  if (found != paths_.end()) return found->second;
  return paths_.emplace(pair, topology_.path(from, to)).first->second;
}

bool Network::is_cut(HostIndex a, HostIndex b) const { return any_cut_ && cut_[a * hosts_.size() + b]; }

void Network::set_cap(HostIndex host, Direction direction, const Cap& cap) {
  Line& on = line(host, direction);
  on.shaper.set(cap);
  on.waiting.set_limit(cap.queue_bytes);
}

void Network::set_loss(HostIndex host, Direction direction, double share) {
  line(host, direction).loss = share;
}

void Network::set_reach(HostIndex host, Reach reach) { hosts_[host].reach = reach; }

void Network::set_silent(RouterIndex router, bool silent) { silent_[router] = silent; }

void Network::partition(const std::vector<HostIndex>& a, const std::vector<HostIndex>& b) {
  cut_.resize(hosts_.size() * hosts_.size());
  for (HostIndex x : a) {
    for (HostIndex y : b) {
      if (x == y) continue;
      cut_[x * hosts_.size() + y] = true;
      cut_[y * hosts_.size() + x] = true;
    }
  }
  any_cut_ = true;
}

void Network::heal() {
  cut_.clear();
  any_cut_ = false;
}

}  // namespace reef::wan
