#include "node/reachability.h"

#include <algorithm>

namespace reef::node {
namespace {

dsht::Services offered(const dsht::Contact& contact) {
  dsht::Services out = 0;
  if (contact.http_port != 0) out |= dsht::kServiceProxy;
  if (contact.dns_port != 0) out |= dsht::kServiceDns;
  return out;
}

}  // namespace

bool Reachability::is_same_place(const dsht::Contact& a, const dsht::Contact& b) {
  return a.rpc == b.rpc && a.http_port == b.http_port && a.dns_port == b.dns_port;
}

std::vector<dsht::Contact> Reachability::due(TimePoint now, std::span<const dsht::Contact> wanted) {
  std::vector<dsht::Contact> out;
  if (!options_.enabled) return out;
  for (const dsht::Contact& contact : wanted) {
    if (offered(contact) == 0) continue;
    const auto [at, is_new] = known_.try_emplace(contact.id);
    Known& known = at->second;
    // It moved, or says something else now: nothing that we knew holds.
    if (!known.is_running && (is_new || !is_same_place(known.contact, contact))) {
      known = {};
      known.contact = contact;
      known.due_at = now;
    }
    known.wanted_at = now;
    if (known.is_running || now < known.due_at || running_ >= options_.running_max) continue;
    known.is_running = true;
    ++running_;
    out.push_back(contact);
  }
  make_room();
  return out;
}

void Reachability::make_room() {
  if (known_.size() <= options_.remembered_max) return;
  std::vector<std::pair<TimePoint, NodeId>> idle;
  for (const auto& [id, known] : known_) {
    if (!known.is_running) idle.emplace_back(known.wanted_at, id);
  }
  std::sort(idle.begin(), idle.end());
  const std::size_t surplus = known_.size() - options_.remembered_max;
  for (std::size_t i = 0; i < std::min(surplus, idle.size()); ++i) known_.erase(idle[i].second);
}

void Reachability::checked(TimePoint now, const dsht::Contact& contact, dsht::Services reached) {
  const auto at = known_.find(contact.id);
  if (at == known_.end() || !at->second.is_running) return;
  Known& known = at->second;
  known.is_running = false;
  --running_;
  if (reached == offered(contact)) {
    known.failures = 0;
    known.reached = reached;
    known.due_at = now + options_.again;
    return;
  }
  // Once may be chance: what was reached before stays until it fails again.
  ++known.failures;
  known.reached = known.failures >= options_.failures_max
                      ? reached
                      : static_cast<dsht::Services>(known.reached | reached);
  const int doublings = std::min(known.failures - 1, 16);
  known.due_at = now + std::min(options_.retry_max, options_.retry_min * (1 << doublings));
}

dsht::Services Reachability::reached(const dsht::Contact& contact) const {
  if (!options_.enabled) return contact.services;
  const auto at = known_.find(contact.id);
  if (at == known_.end() || !is_same_place(at->second.contact, contact)) return 0;
  // What we have seen ourselves counts before the node's own word, which follows our visit by a ping's time.
  // One that is about to leave says that it offers nothing.
  return contact.services == 0 ? dsht::Services{0} : at->second.reached;
}

bool Reachability::is_untried(const dsht::Contact& contact) const {
  const auto at = known_.find(contact.id);
  return offered(contact) != 0 && contact.services != 0 &&
         (at == known_.end() || !is_same_place(at->second.contact, contact) ||
          (at->second.failures == 0 && at->second.reached == 0));
}

void Reachability::note_visits(TimePoint now, std::uint64_t count) {
  if (count > visits_) visited_at_ = now;
  visits_ = count;
}

bool Reachability::is_seen(TimePoint now) const {
  if (!options_.enabled) return true;
  return visited_at_ != TimePoint::min() && now - visited_at_ < options_.seen_for;
}

}  // namespace reef::node
