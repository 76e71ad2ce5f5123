// What a node does unasked: joining, keeping its table true, keeping values at the nodes closest to their
// keys.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kSeedsAtOnce = 8;
constexpr std::size_t kRememberedMax = 64;
constexpr std::size_t kPingsPerTick = 24;
constexpr std::size_t kExpiredPerTick = 4096;
// A change of neighbours concerns our values only if it happens among this many nodes next to us.
constexpr std::size_t kNeighbourhood = 16;

}  // namespace

// ---- joining

void Node::join(TimePoint now, std::vector<Endpoint> seeds, std::vector<Contact> known) {
  seeds_ = std::move(seeds);
  for (Contact& contact : known) {
    if (remembered_.size() < kRememberedMax && contact.id != self_) remembered_.push_back(std::move(contact));
  }
  join_backoff_ = options_.join_retry_min;
  join_at_ = seeds_.empty() && remembered_.empty() ? TimePoint::max() : now;
  if (join_at_ == TimePoint::max()) joined_ = true;  // the first node of a network
  self_refresh_period_ = options_.self_refresh_min;
  self_refresh_at_ = now + self_refresh_period_;
  if (join_at_ <= now) try_join(now);
}

void Node::try_join(TimePoint now) {
  join_at_ = TimePoint::max();
  if (leaving_ || (joined_ && table_.size() > 0)) return;
  if (table_.size() > 0 && join_walk_ == 0) {
    // Somebody found us first.
    if (Walk* walk = start_walk(now, WalkKind::join, self_.as<Key>(), options_.walk_max)) {
      join_walk_ = walk->id;
      advance(now, join_walk_);
    }
  } else if (join_walk_ == 0) {
    std::vector<Contact> targets;
    for (const Endpoint& seed : seeds_) targets.push_back({NodeId{}, seed, 0, 0, 0});
    targets.insert(targets.end(), remembered_.begin(), remembered_.end());
    for (std::size_t i = targets.size(); i > 1; --i) std::swap(targets[i - 1], targets[random_.below(i)]);
    targets.resize(std::min(targets.size(), kSeedsAtOnce));
    // Nobody of an earlier life answered, and we were told of no seed: the network starts with us, again.
    if (seeds_.empty() && join_backoff_ > options_.join_retry_min) joined_ = true;
    for (const Contact& target : targets) ask_seed(now, target);
  }
  join_at_ = now + join_backoff_ + random_.between(Duration::zero(), join_backoff_ / 4);
  join_backoff_ = std::min(join_backoff_ * 2, options_.join_retry_max);
}

void Node::ask_seed(TimePoint now, const Contact& seed) {
  Find find;
  find.target = self_.as<Key>();
  find.padding = padding_for(find);
  Rpc rpc;
  rpc.to = seed.rpc;
  rpc.expected = seed.id;
  rpc.purpose = Purpose::seed;
  rpc.attempts_max = options_.find_attempts;
  (void)send_rpc(now, std::move(rpc), find);  // too many requests in flight: the next round will do
}

void Node::on_seed_answered(TimePoint now, const Contact& seed, const std::vector<Contact>& contacts) {
  Walk* walk = nullptr;
  if (const auto running = walks_.find(join_walk_); running != walks_.end()) {
    walk = running->second.get();
  } else {
    const bool is_join = !joined_ || table_.size() <= 1;
    walk = start_walk(now, is_join ? WalkKind::join : WalkKind::refresh, self_.as<Key>(), options_.walk_max);
    if (walk == nullptr) return;
    if (is_join) join_walk_ = walk->id;
  }
  walk->list.add(seed, 1);
  if (Candidate* candidate = walk->list.find(seed.id)) candidate->state = Candidate::State::answered;
  add_named(*walk, contacts, seed.rpc, 2);
  advance(now, walk->id);
}

void Node::on_joined(TimePoint now) {
  if (table_.size() == 0) return;  // the retry is already set
  self_refresh_period_ = options_.self_refresh_min;
  self_refresh_at_ = now + self_refresh_period_;
  join_backoff_ = options_.join_retry_min;
  if (!joined_) {
    joined_ = true;
    actions_.emplace_back(Joined{});
  }
  join_at_ = TimePoint::max();
  // The far buckets, which the walk to ourselves hardly touched; the nearest first, since they matter to our
  // keys.
  refresh_queue_.clear();
  for (int bucket = table_.deepest_bucket(); bucket >= 0; --bucket) refresh_queue_.push_back(bucket);
  refresh_next(now);
}

void Node::refresh_next(TimePoint now) {
  if (refresh_walk_ != 0 || refresh_queue_.empty() || leaving_) return;
  const int bucket = refresh_queue_.front();
  refresh_queue_.pop_front();
  bucket_refreshed_at_[bucket] = now;
  // A random id of that bucket: ours up to the bit that differs.
  Key target = random_.id<Key>();
  for (int bit = 0; bit < bucket; ++bit) target.set_bit(bit, self_.bit(bit));
  target.set_bit(bucket, !self_.bit(bucket));
  if (Walk* walk = start_walk(now, WalkKind::refresh, target, options_.walk_max)) {
    refresh_walk_ = walk->id;
    advance(now, refresh_walk_);
  }
}

// Those who joined with us may have missed each other: their place is looked up again soon, later rarely.
void Node::refresh_self(TimePoint now) {
  self_refresh_period_ = std::min(self_refresh_period_ * 3, options_.self_refresh_max);
  self_refresh_at_ =
      leaving_ ? TimePoint::max()
               : now + self_refresh_period_ + random_.between(Duration::zero(), self_refresh_period_ / 8);
  if (leaving_) return;
  if (Walk* walk = start_walk(now, WalkKind::refresh, self_.as<Key>(), options_.walk_max))
    advance(now, walk->id);
  // Somebody whom we lost, or a seed: if the network was cut in two, this is what joins it again.
  const std::size_t ways = seeds_.size() + remembered_.size();
  if (ways == 0) return;
  const std::size_t way = random_.below(ways);
  const Contact back =
      way < seeds_.size() ? Contact{NodeId{}, seeds_[way], 0, 0, 0} : remembered_[way - seeds_.size()];
  if (back.id.is_zero() || table_.find(back.id) == nullptr) ask_seed(now, back);
}

// ---- the table

void Node::tick(TimePoint now) {
  tick_at_ = now + options_.tick;
  storage_.expire(now, kExpiredPerTick);
  if (leaving_) return;
  if (table_.size() == 0) {
    if (join_at_ == TimePoint::max() && !(seeds_.empty() && remembered_.empty())) {
      joined_ = seeds_.empty();
      join_at_ = now;
      try_join(now);
    }
    return;
  }
  if (!joined_ && join_walk_ == 0 && join_at_ == TimePoint::max()) join_at_ = now;

  // Who is near, by id and by RTT.
  std::vector<NodeId> near;
  for (const TableEntry* entry : table_.closest(self_.as<Key>(), options_.table.bucket_size, true)) {
    near.push_back(entry->contact.id);
  }
  NodesQuery by_rtt;
  by_rtt.count = options_.table.bucket_size;
  for (const Neighbour& neighbour : nodes(now, by_rtt)) near.push_back(neighbour.contact.id);
  std::vector<Contact> due;
  for (TableEntry& entry : table_.entries()) {
    const bool is_near = std::find(near.begin(), near.end(), entry.contact.id) != near.end();
    const Duration period = entry.is_suspect() ? Duration::zero()
                            : is_near          ? options_.near_ping
                                               : options_.far_ping;
    // A tick early rather than a tick late.
    if (now - std::max(entry.heard_at, entry.pinged_at) + options_.tick >= period)
      due.push_back(entry.contact);
  }
  for (std::size_t i = 0; i < std::min(due.size(), kPingsPerTick); ++i) {
    std::swap(due[i], due[i + random_.below(due.size() - i)]);
    ping(now, due[i]);
  }

  for (int bucket = 0; bucket <= table_.deepest_bucket(); ++bucket) {
    if (now - bucket_refreshed_at_[bucket] < options_.bucket_refresh) continue;
    if (std::find(refresh_queue_.begin(), refresh_queue_.end(), bucket) == refresh_queue_.end()) {
      refresh_queue_.push_back(bucket);
    }
  }
  refresh_next(now);
}

void Node::ping(TimePoint now, const Contact& contact, bool unverified) {
  if (!pinging_.insert(contact.id).second) return;
  Rpc rpc;
  rpc.to = contact.rpc;
  rpc.expected = contact.id;
  rpc.purpose = Purpose::ping;
  rpc.attempts_max = options_.find_attempts;
  rpc.unverified = unverified;
  if (!send_rpc(now, std::move(rpc), Ping{})) {
    pinging_.erase(contact.id);
    return;
  }
  if (unverified) ++unverified_pings_;
  if (TableEntry* entry = table_.find(contact.id)) entry->pinged_at = now;
}

void Node::contact_dropped(TimePoint now, const Contact& contact) {
  counters_.contacts_dropped.add();
  std::erase_if(remembered_, [&](const Contact& other) { return other.id == contact.id; });
  if (remembered_.size() >= kRememberedMax) remembered_.pop_front();
  remembered_.push_back(contact);
  if (const auto replacement = table_.take_replacement(contact.id)) ping(now, *replacement);
  neighbourhood_changed(now, contact);
}

// ---- values

// A neighbour came or went: keys for which it is, or was, one of the closest are copied again by the one that
// is the closest without it.
void Node::neighbourhood_changed(TimePoint now, const Contact& contact) {
  if (storage_.key_count() == 0) return;
  const auto near = table_.closest(self_.as<Key>(), kNeighbourhood, true);
  if (near.size() == kNeighbourhood &&
      distance(near.back()->contact.id, self_) < distance(contact.id, self_)) {
    return;
  }
  for (const Key& key : storage_.keys()) {
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
    if (ours && closer_to_key + 1 < options_.replicas) mark_for_replication(now, key);
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

void Node::replicate(TimePoint now, const Key& key) {
  const std::size_t copies = leaving_ ? 1 : options_.replicas - std::min<std::size_t>(options_.replicas, 1);
  for (const TableEntry* entry : table_.closest(key, copies, false)) {
    Handover handover;
    handover.key = key;
    handover.token = entry->token;
    std::size_t used = kHeaderBytes + kIdBytes + 8 + 1;
    for (const StoredValue* value : storage_.live(now, key)) {
      if (leaving_ && value->publisher == self_) continue;  // nobody will serve it
      WireValue wire = to_wire(now, *value);
      if (used + wire_bytes(wire) > kDatagramBytesMax || handover.values.size() >= kValuesMax) break;
      used += wire_bytes(wire);
      handover.values.push_back(std::move(wire));
    }
    if (handover.values.empty()) continue;
    Rpc rpc;
    rpc.to = entry->contact.rpc;
    rpc.expected = entry->contact.id;
    rpc.purpose = Purpose::handover;
    rpc.attempts_max = options_.store_attempts;
    if (send_rpc(now, std::move(rpc), std::move(handover))) {
      ++handovers_in_flight_;
      counters_.replicated.add();
    }
  }
}

void Node::leave(TimePoint now) {
  if (leaving_) return;
  leaving_ = true;
  leave_by_ = now + options_.leave_max;
  replications_.clear();
  replicating_.clear();
  for (const Key& key : storage_.keys()) replications_.push_back({key, now});
  replicate_some(now);
}

void Node::end_leaving() {
  if (left_) return;
  left_ = true;
  leave_by_ = TimePoint::max();
  replications_.clear();
  for (const TableEntry& entry : table_.entries()) {
    send(entry.contact.rpc, encode({own_header(next_transaction(), 0), Leave{}}));
  }
  actions_.emplace_back(LeaveDone{});
}

}  // namespace reef::dsht
