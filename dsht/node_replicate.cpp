// Values where they belong: announcements and values of level 0 at the nodes closest to their keys, though
// nodes come and go; all of them with somebody else when we leave.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

// A change of neighbours concerns our values only if it happens among this many nodes next to us.
constexpr std::size_t kNeighbourhood = 16;

}  // namespace

// A neighbour came or went: keys for which it is, or was, one of the closest are copied again by the one that
// is the closest without it.
void Node::neighbourhood_changed(TimePoint now, const Contact& contact) {
  if (storage_[0].key_count() == 0) return;
  table_.closest(0, self_.as<Key>(), kNeighbourhood, true, closest_);
  if (closest_.size() == kNeighbourhood &&
      distance(closest_.back()->contact.id, self_) < distance(contact.id, self_)) {
    return;
  }
  for (const Key& key : storage_[0].keys()) {
    const Distance own = distance(self_, key);
    const Distance its = distance(contact.id, key);
    std::size_t closer_to_key = 0;
    bool ours = true;
    for (const TableEntry& entry : table_.entries()) {
      if (entry.contact.id == contact.id || entry.is_suspect()) continue;
      const Distance d = distance(entry.contact.id, key);
      if (d < own) {
        ours = false;
        break;
      }
      if (d < its) ++closer_to_key;
    }
    if (ours && closer_to_key + 1 < options_.replicas[0]) mark_for_replication(now, key);
  }
}

void Node::mark_for_replication(TimePoint now, const Key& key) {
  if (!replicating_.insert(key).second) return;
  replications_.push_back({key, now + options_.replicate_delay});
}

void Node::replicate_some(TimePoint now) {
  std::size_t left = options_.replicate_batch;
  while (left-- > 0 && !replications_.empty() && replications_.front().due <= now) {
    const Key key = replications_.front().key;
    replications_.pop_front();
    replicating_.erase(key);
    replicate(now, key);
  }
  if (!replications_.empty() && replications_.front().due <= now) {
    replications_.front().due = now + options_.replicate_delay;  // the rest in later batches
  }
  if (leaving_ && replications_.empty() && handovers_in_flight_ == 0) end_leaving();
}

// Who leaves hands each level's values to the neighbour next to the key there.
void Node::replicate(TimePoint now, const Key& key) {
  for (Level level = 0; level < (leaving_ ? options_.levels : Level{1}); ++level) {
    if (storage_[level].count(key) == 0) continue;
    const std::size_t copies = leaving_ ? 1 : std::max<std::size_t>(options_.replicas[0], 1) - 1;
    table_.closest(level, key, copies, false, closest_);
    const std::vector<const TableEntry*> receivers = closest_;
    for (const TableEntry* entry : receivers) hand_over(now, key, level, entry->contact, entry->token);
  }
}

void Node::hand_over(TimePoint now, const Key& key, Level level, const Contact& to, std::uint64_t token) {
  Handover handover;
  handover.key = key;
  handover.token = token;
  std::size_t used = kHeaderBytes + kIdBytes + 8 + 1;
  for (const StoredValue* value : storage_[level].live(now, key)) {
    if (leaving_ && value->publisher == self_) continue;  // nobody will serve it
    WireValue wire = to_wire(now, *value);
    if (used + wire_bytes(wire) > kMessageBytesMax || handover.values.size() >= kValuesMax) break;
    used += wire_bytes(wire);
    handover.values.push_back(std::move(wire));
  }
  if (handover.values.empty()) return;
  Rpc rpc;
  rpc.to = to.rpc;
  rpc.expected = to.id;
  rpc.purpose = Purpose::handover;
  rpc.level = level;
  rpc.attempts_max = options_.store_attempts;
  if (send_rpc(now, std::move(rpc), std::move(handover))) {
    ++handovers_in_flight_;
    counters_.replicated.add();
  }
}

void Node::leave(TimePoint now) {
  if (leaving_) return;
  leaving_ = true;
  leave_by_ = now + options_.leave_max;
  replications_.clear();
  replicating_.clear();
  for (const Storage& storage : storage_) {
    for (const Key& key : storage.keys()) {
      if (replicating_.insert(key).second) replications_.push_back({key, now});
    }
  }
  replicate_some(now);
}

void Node::end_leaving() {
  if (left_) return;
  left_ = true;
  leave_by_ = TimePoint::max();
  replications_.clear();
  for (const TableEntry& entry : table_.entries()) {
    send(entry.contact.rpc, encode({own_header(next_transaction(), 0), Leave{}, {}}));
  }
  actions_.emplace_back(LeaveDone{});
}

}  // namespace reef::dsht
