#include "proxy/io/peer_record.h"

namespace reef::proxy {

void PeerRecord::note(const Endpoint& peer, PeerFault fault, TimePoint now) {
  if (fault == PeerFault::none || fault < fault_of(peer, now)) return;
  if (notes_.size() >= options_.faults_max && !notes_.contains(peer)) {
    std::erase_if(notes_, [now](const auto& entry) { return entry.second.until <= now; });
    // Full of faults that still count: the network is sick, and one note more would change nothing.
    if (notes_.size() >= options_.faults_max) return;
  }
  const Duration time = fault == PeerFault::lied ? Duration(options_.avoid_lying) : options_.avoid_failed;
  notes_.insert_or_assign(peer, Note{fault, now + time});
}

PeerFault PeerRecord::fault_of(const Endpoint& peer, TimePoint now) const {
  const auto found = notes_.find(peer);
  return found == notes_.end() || found->second.until <= now ? PeerFault::none : found->second.fault;
}

}  // namespace reef::proxy
