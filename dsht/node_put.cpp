// Puts: forward towards the key a few bits at a time, until the closest node or one that is full and loaded
// for the key; then back, to the closest that takes the value (sloppy storage, NSDI 2004, §4.1). Once per
// level, innermost first; on outwards unless the key is full and loaded here already.
//
//   forward ──(nobody closer)──▶ settling ──▶ storing ──▶ next level, or finished
//      └─────(full and loaded)─────────────────▲
// Settling: the few closest are found, for the replicas of a key that has not many values yet.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {

using State = Candidate::State;

WalkId Node::put(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl) {
  const Level innermost = options_.levels > 1 && table_.size(2) > 0   ? 2
                          : options_.levels > 1 && table_.size(1) > 0 ? 1
                                                                      : 0;
  if (options_.put_bits > 0 && puts_[innermost].is_loaded(now, key) &&
      storage_[innermost].is_full(now, key, ttl, self_)) {
    // The way begins with ourselves.
    counters_.puts_turned_back.add();
    actions_.emplace_back(PutDone{++last_walk_, false, true});
    return last_walk_;
  }
  return start_writing(now, WalkKind::put, key, make_record(now, key, value, ttl, false));
}

WalkId Node::withdraw(TimePoint now, const Key& key) {
  return start_writing(now, WalkKind::withdraw, key,
                       make_record(now, key, {}, std::chrono::seconds(0), false));
}

WalkId Node::start_writing(TimePoint now, WalkKind kind, const Key& key, Record record, LevelMask levels) {
  Walk* walk = start_walk(now, kind, key, options_.walk_max - options_.store_max, levels, std::move(record));
  if (walk == nullptr) return refuse_walk(PutDone{++last_walk_, false, false});
  const WalkId id = walk->id;
  advance(now, id);
  return id;
}

// The way begins with ourselves, at every level.
void Node::begin_put_level(TimePoint now, Walk& walk) {
  walk.at = self_;
  walk.halted = walk.settling = walk.storing = false;
  walk.places.clear();
  walk.stored_here = walk.tried_here = 0;
  PutPlace own;
  own.is_self = true;
  own.from_key = walk.list.own_distance();
  if (walk.kind == WalkKind::put) {
    const std::chrono::seconds ttl(walk.record.ttl_seconds);
    if (storage_[walk.level].is_full(now, walk.key, ttl, self_) &&
        puts_[walk.level].is_loaded(now, walk.key)) {
      walk.halted = true;
      counters_.puts_turned_back.add();
      return;
    }
    puts_[walk.level].pass(now, walk.key);
  }
  walk.places.push_back(own);
}

void Node::put_on(TimePoint now, Walk& walk) {
  if (walk.storing) {
    store_back(now, walk);
    return;
  }
  const bool is_put = walk.kind == WalkKind::put;
  if (is_put && options_.put_bits > 0 && !walk.halted && !walk.settling) {
    while (walk.list.in_flight() < options_.put_window) {
      Candidate* next = walk.list.next_towards(next_target(walk.key, walk.at, options_.put_bits),
                                               distance(walk.at, walk.key));
      if (next == nullptr) break;
      ask(now, walk, *next);
    }
    if (walk.list.in_flight() > 0) return;
  }
  if (!walk.halted && (!is_put || options_.put_bits == 0 || wants_replicas(walk))) {
    if (!walk.settling) {
      walk.settling = true;
      table_.closest(walk.level, walk.key, options_.table.bucket_size[0], false, closest_);
      for (const TableEntry* entry : closest_) walk.list.add(entry->contact, 1, NodeId{});
    }
    if (!look_around(now, walk)) return;
  }
  walk.storing = true;
  store_back(now, walk);
}

// Where a key has many values already, one copy more or less does not matter.
bool Node::wants_replicas(const Walk& walk) const {
  return options_.replicas[walk.level] > 1 && (walk.places.empty() || !walk.places.front().full);
}

void Node::note_place(Walk& walk, const Rpc& rpc, const Nodes& nodes, const Contact& contact) {
  if (walk.storing) return;
  const Distance from_key = distance(rpc.expected, walk.key);
  const Fullness fullness = shown_fullness(walk, nodes);
  if (fullness != Fullness::none && nodes.loaded) {
    if (!walk.settling) walk.halted = true;
    return;
  }
  if (from_key < distance(walk.at, walk.key)) walk.at = rpc.expected;
  PutPlace place;
  place.contact = contact;
  place.from_key = from_key;
  place.token = nodes.token;
  place.full = fullness == Fullness::many_values;
  const auto at = std::lower_bound(walk.places.begin(), walk.places.end(), from_key,
                                   [](const PutPlace& p, const Distance& d) { return p.from_key < d; });
  if (at != walk.places.end() && at->from_key == from_key) return;
  walk.places.insert(at, place);
}

// Who says that it is full has to show the values, or turning puts back would be an easy way to hide a key.
Node::Fullness Node::shown_fullness(const Walk& walk, const Nodes& nodes) const {
  if (!nodes.full) return Fullness::none;
  std::vector<const Ed25519PublicKey*> publishers;
  for (const WireValue& value : nodes.values) {
    if (value.record.provisional || value.left_seconds < walk.record.ttl_seconds / 2) continue;
    if (value.record.publisher == credentials_.public_key()) {
      // Our own earlier word, unless it is so old that it cannot live as long as is said.
      const std::uint64_t age_ms =
          walk.record.sequence - std::min(walk.record.sequence, value.record.sequence);
      if (age_ms / 1000 + walk.record.ttl_seconds / 2 <= value.record.ttl_seconds) return Fullness::own_value;
      continue;
    }
    const bool known = std::any_of(publishers.begin(), publishers.end(),
                                   [&](const Ed25519PublicKey* p) { return *p == value.record.publisher; });
    if (!known) publishers.push_back(&value.record.publisher);
  }
  return publishers.size() >= options_.storage.full_at ? Fullness::many_values : Fullness::none;
}

bool Node::store_here(TimePoint now, Walk& walk) {
  switch (storage_[walk.level].put(now, walk.key, self_, walk.record)) {
    case Storage::Outcome::stored:
    case Storage::Outcome::renewed:
    case Storage::Outcome::withdrawn:
      return true;
    default:
      return false;
  }
}

// Closest first. A value wants so many places; a withdrawal goes to as many, whatever they say.
void Node::store_back(TimePoint now, Walk& walk) {
  const bool is_put = walk.kind == WalkKind::put;
  const int wanted =
      !walk.halted && (!is_put || wants_replicas(walk)) ? static_cast<int>(options_.replicas[walk.level]) : 1;
  for (PutPlace& place : walk.places) {
    if ((is_put ? walk.stored_here + walk.stores_in_flight : walk.tried_here) >= wanted) break;
    if (place.tried) continue;
    place.tried = true;
    ++walk.tried_here;
    if (place.is_self) {
      if (store_here(now, walk)) ++walk.stored_here;
      continue;
    }
    Rpc rpc;
    rpc.to = place.contact.rpc;
    rpc.expected = place.contact.id;
    rpc.level = walk.level;
    rpc.walk = walk.id;
    rpc.attempts_max = options_.store_attempts;
    rpc.purpose = is_put ? Purpose::store : Purpose::withdraw;
    Body body = is_put ? Body(Store{walk.key, place.token, walk.record})
                       : Body(Withdraw{walk.key, place.token, walk.record});
    if (send_rpc(now, std::move(rpc), std::move(body))) ++walk.stores_in_flight;
  }
  if (walk.stores_in_flight == 0) end_put_level(now, walk);
}

// What was found of this level has to do.
void Node::hurry_put(TimePoint now, Walk& walk) {
  walk.levels = 0;
  walk.due = walk.ends;
  timers_.push({walk.due, true, walk.id});
  if (walk.storing) return;
  walk.storing = true;
  store_back(now, walk);
}

void Node::end_put_level(TimePoint now, Walk& walk) {
  walk.stored += walk.stored_here;
  if (!walk.halted && go_outwards(now, walk)) {
    advance(now, walk.id);
    return;
  }
  actions_.emplace_back(PutDone{walk.id, walk.stored > 0, walk.halted});
  finish(now, walk);
}

void Node::on_stored(TimePoint now, const Rpc& rpc, const Stored& reply) {
  if (reply.status == StoreStatus::token_needed && !rpc.token_retried &&
      send_again_with_token(now, rpc, reply.token)) {
    return;
  }
  if (rpc.purpose == Purpose::handover) {
    --handovers_in_flight_;
    if (leaving_ && replications_.empty() && handovers_in_flight_ == 0) end_leaving();
    return;
  }
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  --walk.stores_in_flight;
  switch (reply.status) {
    case StoreStatus::stored:
    case StoreStatus::renewed:
    case StoreStatus::withdrawn:
      ++walk.stored_here;
      break;
    default:
      break;
  }
  advance(now, rpc.walk);
}

}  // namespace reef::dsht
