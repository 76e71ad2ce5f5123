// The asking half of a node: what all walks have in common, and gets.
//
//   level 2 ──(nothing there)──▶ level 1 ──▶ level 0 ──▶ finished
// At each level the closest contacts are asked for closer ones, several at a time, until the closest have
// answered. Whoever answers also names contacts of the next outer level, where the walk goes on from there.
#include <algorithm>
#include <cmath>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kStepsMax = 256;  // of one trace

}  // namespace

using State = Candidate::State;

// ---- starting

WalkId Node::refuse_walk(Action refusal) {
  counters_.walks[static_cast<std::size_t>(WalkEnd::overloaded)].add();
  actions_.push_back(std::move(refusal));
  return last_walk_;
}

Walk* Node::start_walk(TimePoint now, WalkKind kind, const Key& key, Duration budget, LevelMask levels,
                       Record record) {
  if (walks_.size() >= options_.walks_max || record.data.size() > kValueBytesMax) return nullptr;
  auto owned = std::make_unique<Walk>(++last_walk_, kind, key, self_, now);
  Walk* walk = owned.get();
  walk->ends = now + options_.walk_max;
  walk->due = std::min(now + std::max(budget, Duration::zero()), walk->ends);
  walk->levels = levels;
  walk->level = kLevels;
  walk->record = std::move(record);
  timers_.push({walk->due, true, walk->id});
  walks_.emplace(walk->id, std::move(owned));
  (void)go_outwards(now, *walk);
  return walk;
}

// To the next level where there is anybody to ask; level 0 always is one. False when there is none left.
bool Node::go_outwards(TimePoint now, Walk& walk) {
  for (int level = walk.level - 1; level >= 0; --level) {
    if ((walk.levels & mask_of(static_cast<Level>(level))) == 0) continue;
    walk.levels = static_cast<LevelMask>(walk.levels & (mask_of(static_cast<Level>(level)) - 1));
    if (level > 0 && (level >= options_.levels || table_.size(static_cast<Level>(level)) == 0)) continue;
    begin_level(now, walk, static_cast<Level>(level));
    return true;
  }
  return false;
}

void Node::begin_level(TimePoint now, Walk& walk, Level level) {
  const bool is_next = walk.level == level + 1;
  walk.level = level;
  // Announcers must all come to one node; what each of them takes for plausible would lead them apart.
  const bool is_data = walk.kind == WalkKind::get || walk.kind == WalkKind::hint ||
                       walk.kind == WalkKind::put || walk.kind == WalkKind::withdraw;
  walk.list = Shortlist(walk.key, self_, kShortlistMax, Shortlist::kPerPrefixMax,
                        !is_data                      ? 0
                        : estimated_nodes_[level] > 0 ? estimated_nodes_[level]
                                                      : estimated_nodes_[0]);
  const bool is_put = walk.kind == WalkKind::put && options_.put_bits > 0;
  table_.closest(level, is_put ? next_target(walk.key, self_, options_.put_bits) : walk.key,
                 options_.table.bucket_size[0], false, closest_);
  if (closest_.empty()) table_.closest(level, walk.key, options_.table.bucket_size[0], true, closest_);
  for (const TableEntry* entry : closest_) walk.list.add(entry->contact, walk.outer_hops + 1, NodeId{});
  if (is_next) {
    for (const Walk::Outer& outer : walk.outer) {
      walk.list.add(outer.contact, walk.outer_hops + 1, outer.named_by);
    }
  }
  walk.outer.clear();
  walk.insist = false;
  walk.rounds = 0;
  drop_provisional(walk.seen);
  if (walk.kind == WalkKind::put || walk.kind == WalkKind::withdraw) begin_put_level(now, walk);
}

WalkId Node::get(TimePoint now, const Key& key, Duration budget, const GetOptions& how) {
  // Values that are here, of whatever level, cost nothing.
  std::vector<WireValue> here;
  Level level = options_.levels;
  while (how.levels == kAllLevels && here.empty() && level-- > 0) {
    if (storage_[level].key_count() == 0) continue;
    for (const StoredValue* value : storage_[level].live(now, key)) {
      if (value->publisher != self_) here.push_back(to_wire(now, *value));
    }
  }
  if (!here.empty()) {
    Found found;
    if (here.size() > options_.reply_values) here.resize(options_.reply_values);
    for (const WireValue& value : here) found.values.push_back(to_value(value));
    found.level = level;
    found.end = WalkEnd::found;
    counters_.walks[static_cast<std::size_t>(WalkEnd::found)].add();
    counters_.found_at[level].add();
    actions_.emplace_back(GetDone{++last_walk_, std::move(found), {}});
    return last_walk_;
  }
  Walk* walk = start_walk(now, WalkKind::get, key, budget, how.levels);
  if (walk == nullptr) return refuse_walk(GetDone{++last_walk_, {{}, 0, 0, WalkEnd::overloaded, -1}, {}});
  walk->traced = how.trace;
  for (const Storage& storage : storage_) {
    for (const StoredValue* value : storage.live(now, key)) {
      if (value->publisher == self_) walk->own = {to_wire(now, *value)};
    }
  }
  const WalkId id = walk->id;
  advance(now, id);
  return id;
}

// ---- asking

void Node::advance(TimePoint now, WalkId id) {
  const auto found = walks_.find(id);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  switch (walk.kind) {
    case WalkKind::put:
    case WalkKind::withdraw:
      put_on(now, walk);
      return;
    case WalkKind::announce:
      announce_on(now, walk);
      return;
    default:
      break;
  }
  if (look_around(now, walk)) conclude(now, walk);
}

// Sends what may be sent; true when there is nothing left to be learnt at this level.
bool Node::look_around(TimePoint now, Walk& walk) {
  if (is_settled(walk)) return true;
  // Never fewer than it takes to be settled.
  const std::size_t width =
      walk.level > 0 ? std::max(options_.get_width[walk.level], options_.replicas[walk.level])
                     : std::max({options_.table.bucket_size[0], options_.get_width[0], options_.replicas[0]});
  while (walk.list.in_flight() < parallelism(walk)) {
    Candidate* next = walk.list.next(width);
    if (next == nullptr) break;
    ask(now, walk, *next);
  }
  return is_settled(walk);
}

// So many that as many as alpha may be expected to answer, and more where some are late already; twice as
// many at most.
int Node::parallelism(const Walk& walk) const {
  const int alpha = options_.alpha[walk.level];
  const int spare = static_cast<int>(std::lround(alpha * silent_share_ / (1.001 - silent_share_)));
  return alpha + std::min(alpha, std::max(spare, walk.list.late()));
}

bool Node::is_settled(Walk& walk) const {
  switch (walk.kind) {
    case WalkKind::join:
    case WalkKind::refresh:
      return walk.list.settled(options_.table.bucket_size[0]);
    case WalkKind::get:
    case WalkKind::hint:
      // Near by, one word is enough, and nobody waits for those who are late: what they say still counts when
      // the walk is further out.
      return walk.level > 0 ? walk.list.has_spoken(options_.get_width[walk.level])
                            : walk.list.settled(options_.get_width[0]);
    case WalkKind::put:
    case WalkKind::withdraw:
      return walk.level > 0 ? walk.list.is_quiet(options_.replicas[walk.level])
                            : walk.list.settled(options_.replicas[0]);
    case WalkKind::announce: {
      if (walk.level > 0) return walk.list.is_quiet(1);
      // The closest live node has answered, hence named all it knows that are closer, and none of them lives.
      // If that place is our own, two neighbours must have said so.
      const Candidate* head = walk.list.head();
      const bool is_ours = head == nullptr || walk.list.own_distance() < head->from_target;
      return walk.list.settled(is_ours ? 2 : 1);
    }
  }
  return true;
}

void Node::ask(TimePoint now, Walk& walk, Candidate& candidate) {
  Find find;
  find.key = walk.key;
  find.toward = walk.key;
  switch (walk.kind) {
    case WalkKind::get:
    case WalkKind::hint:
      find.want = Want::values;
      find.toward = next_target(walk.key, candidate.contact.id, options_.get_bits);
      break;
    case WalkKind::announce:
      find.want = Want::values;
      break;
    case WalkKind::put:
      find.want = Want::place;
      find.ttl_seconds = walk.record.ttl_seconds;
      if (!walk.settling) find.toward = next_target(walk.key, candidate.contact.id, options_.put_bits);
      break;
    default:
      break;
  }
  find.padding = padding_for(find);
  Rpc rpc;
  rpc.to = candidate.contact.rpc;
  rpc.expected = candidate.contact.id;
  rpc.purpose = Purpose::find;
  rpc.level = walk.level;
  rpc.walk = walk.id;
  rpc.step = trace_step(now, walk, candidate);
  rpc.attempts_max = options_.find_attempts;
  candidate.state = send_rpc(now, std::move(rpc), find) ? State::asked : State::failed;
}

int Node::trace_step(TimePoint now, Walk& walk, const Candidate& candidate) {
  if (!walk.traced || walk.steps.size() >= kStepsMax) return -1;
  TraceStep step;
  step.level = walk.level;
  step.contact = candidate.contact;
  step.hops = candidate.hops;
  step.bits = candidate.from_target.leading_zeros();
  step.sent_after = now - walk.began;
  walk.steps.push_back(std::move(step));
  return static_cast<int>(walk.steps.size()) - 1;
}

// Nobody out on the Internet shall make us send to our own private networks.
bool Node::is_followed(const Contact& contact, const Endpoint& by) {
  const IpAddress& address = contact.rpc.address;
  if (address.is_unspecified() || (by.address.is_global_unicast() && !address.is_global_unicast())) {
    counters_.unfollowed.add();
    return false;
  }
  return true;
}

void Node::add_named(Walk& walk, const std::vector<Contact>& contacts, const NodeId& by, const Endpoint& from,
                     int hops) {
  for (const Contact& contact : contacts) {
    if (is_followed(contact, from)) walk.list.add(contact, hops, by);
  }
}

void Node::note_answer(TimePoint now, Walk& walk, const Rpc& rpc, const Nodes& nodes) {
  walk.reached_bits = std::max(walk.reached_bits, distance(rpc.expected, walk.key).leading_zeros());
  if (rpc.step >= 0) {
    TraceStep& step = walk.steps[static_cast<std::size_t>(rpc.step)];
    step.rtt = now - rpc.sent_at;
    step.outcome = nodes.values.empty() ? TraceStep::Outcome::contacts : TraceStep::Outcome::values;
    step.named = nodes.contacts.size();
  }
}

void Node::on_nodes(TimePoint now, const Rpc& rpc, const Contact& from, Nodes& nodes) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  keep_authentic(walk.key, nodes.values);
  note_answer(now, walk, rpc, nodes);
  const bool is_present = rpc.level == walk.level;
  Candidate* candidate = is_present ? walk.list.find(rpc.expected) : nullptr;
  int hops = walk.outer_hops;
  if (candidate != nullptr) {
    candidate->state = State::answered;
    candidate->token = nodes.token;
    hops = candidate->hops;
    add_named(walk, nodes.contacts, rpc.expected, rpc.to, hops + 1);
  }
  walk.hops = std::max(walk.hops, hops);
  // Where the walk goes on outwards, unless it is there already.
  if (is_present) {
    walk.outer_hops = hops;
    for (const Contact& contact : nodes.outer) {
      if (walk.outer.size() < kShortlistMax && is_followed(contact, rpc.to)) {
        walk.outer.push_back({contact, rpc.expected});
      }
    }
  } else if (rpc.level == walk.level + 1) {
    add_named(walk, nodes.outer, rpc.expected, rpc.to, hops + 1);
  }
  // Who has gone on outwards waits for nobody who only announced himself near by (dsht/node_announce.cpp).
  if (walk.kind == WalkKind::announce && !is_present) drop_provisional(nodes.values);
  if (!nodes.values.empty() && walk.kind != WalkKind::put) collect(walk, nodes.values);
  if ((walk.kind == WalkKind::get || walk.kind == WalkKind::hint) && !walk.seen.empty()) {
    walk.hot = nodes.hot;
    walk.found_level = rpc.level;
    walk.hops = hops;
    finish_get(now, walk, WalkEnd::found);
    return;
  }
  const bool is_put = walk.kind == WalkKind::put || walk.kind == WalkKind::withdraw;
  if (is_put && is_present) note_place(walk, rpc, nodes, from);
  advance(now, rpc.walk);
}

// Keeps what counts: of a get, all values of others, and ours for the case that there is nothing else; of an
// announcement, complete values of others and provisional ones that stand before our own.
void Node::collect(Walk& walk, std::vector<WireValue>& values) {
  bool after_own = false;
  for (WireValue& value : values) {
    if (value.record.publisher == credentials_.public_key()) {
      after_own = value.record.provisional;
      if (walk.kind == WalkKind::get) walk.own = {std::move(value)};
      continue;
    }
    if (walk.kind == WalkKind::announce && value.record.provisional && after_own) continue;
    const bool known = std::any_of(walk.seen.begin(), walk.seen.end(), [&](const WireValue& other) {
      return other.record.publisher == value.record.publisher;
    });
    if (!known && walk.seen.size() < kValuesMax) walk.seen.push_back(std::move(value));
  }
}

void Node::candidate_failed(TimePoint now, const Rpc& rpc) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  if (rpc.step >= 0) walk.steps[static_cast<std::size_t>(rpc.step)].outcome = TraceStep::Outcome::timed_out;
  if (rpc.purpose != Purpose::find) --walk.stores_in_flight;
  if (rpc.level == walk.level) {
    if (Candidate* candidate = walk.list.find(rpc.expected)) candidate->state = State::failed;
    // The place to announce at is gone: the next closest is sought among those already known.
    if (rpc.purpose == Purpose::announce) walk.storing = false;
  }
  advance(now, rpc.walk);
}

// ---- at the end of the way

void Node::conclude(TimePoint now, Walk& walk) {
  switch (walk.kind) {
    case WalkKind::get:
    case WalkKind::hint: {
      const bool is_isolated = walk.level == 0 && walk.list.candidates().empty();
      if (go_outwards(now, walk)) {
        advance(now, walk.id);
        return;
      }
      finish_get(now, walk,
                 !walk.own.empty() ? WalkEnd::found
                 : is_isolated     ? WalkEnd::isolated
                                   : WalkEnd::exhausted);
      return;
    }
    default:
      finish(now, walk);
      return;
  }
}

// The key is asked for by many: what we were told, we tell others for a while, and ask no more ourselves.
void Node::remember_hot(TimePoint now, const Walk& walk) {
  for (const WireValue& wire : walk.seen) {
    if (wire.record.provisional) continue;
    const Duration left = std::min<Duration>(std::chrono::seconds(wire.left_seconds), options_.hot_memory);
    // What does not fit is not remembered.
    (void)storage_[walk.found_level].merge(now, walk.key,
                                           {credentials_.id_of(wire.record.publisher), wire.record,
                                            now - std::chrono::milliseconds(wire.age_ms), now + left});
  }
}

void Node::finish_get(TimePoint now, Walk& walk, WalkEnd end) {
  if (walk.search != 0) {
    search_read(now, walk, end);
  } else if (walk.kind == WalkKind::hint) {
    on_hint(now, walk.seen);
  } else {
    if (walk.hot) remember_hot(now, walk);
    Found out;
    for (const WireValue& value : walk.seen.empty() ? walk.own : walk.seen)
      out.values.push_back(to_value(value));
    out.level = walk.found_level;
    out.hops = walk.hops;
    out.end = end;
    out.reached_bits = walk.reached_bits;
    counters_.walks[static_cast<std::size_t>(end)].add();
    if (end == WalkEnd::found) counters_.found_at[walk.found_level].add();
    actions_.emplace_back(GetDone{walk.id, std::move(out), std::move(walk.steps)});
  }
  finish(now, walk);
}

void Node::walk_timed_out(TimePoint now, WalkId id) {
  Walk& walk = *walks_.at(id);
  switch (walk.kind) {
    case WalkKind::get:
    case WalkKind::hint:
      finish_get(now, walk, WalkEnd::deadline);
      return;
    case WalkKind::announce:
      report_announced(walk, walk.seen, walk.stored > 0, WalkEnd::deadline);
      // Who was told of somebody near by stays near by, lest that one be told to wait for him.
      if (now >= walk.ends || (walk.level > 0 && !walk.seen.empty())) {
        finish(now, walk);
      } else {
        // Whoever comes later shall learn of us all the same.
        walk.due = walk.ends;
        timers_.push({walk.due, true, walk.id});
      }
      return;
    case WalkKind::put:
    case WalkKind::withdraw:
      if (now < walk.ends) {
        hurry_put(now, walk);
        return;
      }
      actions_.emplace_back(PutDone{walk.id, walk.stored + walk.stored_here > 0, walk.halted});
      finish(now, walk);
      return;
    case WalkKind::join:
    case WalkKind::refresh:
      finish(now, walk);
      return;
  }
}

Value Node::to_value(const WireValue& value) const {
  const Record& record = value.record;
  Value out{credentials_.id_of(record.publisher),
            record.data,
            std::chrono::seconds(value.left_seconds),
            record.provisional,
            {}};
  if (const TableEntry* entry = table_.find(out.publisher)) out.rtt = entry->rtt.least();
  return out;
}

void Node::finish(TimePoint now, Walk& walk) {
  const WalkId id = walk.id;
  const bool is_join = walk.kind == WalkKind::join;
  note_ended(true, id);
  walks_.erase(id);  // `walk` is gone; answers that still come for it find nobody
  if (is_join && id == join_walk_) {
    join_walk_ = 0;
    on_joined(now);
  } else if (id == refresh_walk_) {
    refresh_walk_ = 0;
    refresh_next(now);
  }
}

}  // namespace reef::dsht
