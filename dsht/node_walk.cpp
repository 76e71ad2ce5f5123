// The asking half of a node: iterative walks towards a key, and what is done at their end.
//
//   asking ──(settled)──▶ storing ──▶ finished
//     ▲                      │
//     └──(closer one named,──┘  announce only: back to asking until the closest live node has taken it
//         or it did not answer)
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kShortlistMax = 48;
// Redirections of one announcement; in a settled network there is none, while nodes join one or two.
constexpr int kRoundsMax = 8;

bool is_publisher(const WireValue& value, const NodeId& id) { return value.publisher == id; }

}  // namespace

using State = Candidate::State;

// ---- starting

Node::Walk* Node::start_walk(TimePoint now, WalkKind kind, const Key& target, Duration budget) {
  if (walks_.size() >= options_.walks_max) return nullptr;
  auto owned = std::make_unique<Walk>(++last_walk_, kind, target, self_, kShortlistMax);
  Walk* walk = owned.get();
  walk->ends = now + options_.walk_max;
  walk->due = std::min(now + std::max(budget, Duration::zero()), walk->ends);
  auto start = table_.closest(target, options_.table.bucket_size, false);
  if (start.empty()) start = table_.closest(target, options_.table.bucket_size, true);
  for (const TableEntry* entry : start) walk->list.add(entry->contact, 1);
  timers_.push({walk->due, true, walk->id});
  walks_.emplace(walk->id, std::move(owned));
  return walk;
}

WalkId Node::get(TimePoint now, const Key& key, Duration budget) {
  Walk* walk = start_walk(now, WalkKind::get, key, budget);
  if (walk == nullptr) {
    counters_.walks[static_cast<std::size_t>(WalkEnd::overloaded)].add();
    actions_.emplace_back(GetDone{++last_walk_, {{}, 0, 0, WalkEnd::overloaded}});
    return last_walk_;
  }
  const WalkId id = walk->id;
  std::vector<WireValue> here;
  for (const StoredValue* value : storage_.live(now, key)) here.push_back(to_wire(now, *value));
  collect(*walk, here);
  if (!walk->seen.empty()) {
    report_found(*walk, std::move(walk->seen), WalkEnd::found);
    finish(now, *walk, WalkEnd::found);
  } else {
    advance(now, id);
  }
  return id;
}

WalkId Node::announce(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl,
                      Duration budget) {
  Walk* walk = value.size() > kValueBytesMax ? nullptr : start_walk(now, WalkKind::announce, key, budget);
  if (walk == nullptr) {
    counters_.walks[static_cast<std::size_t>(WalkEnd::overloaded)].add();
    actions_.emplace_back(AnnounceDone{++last_walk_, {{}, 0, false, WalkEnd::overloaded}});
    return last_walk_;
  }
  const WalkId id = walk->id;
  walk->data.assign(value.begin(), value.end());
  walk->ttl = ttl;
  advance(now, id);
  return id;
}

WalkId Node::put(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl) {
  Walk* walk =
      value.size() > kValueBytesMax ? nullptr : start_walk(now, WalkKind::put, key, options_.walk_max);
  if (walk == nullptr) {
    counters_.walks[static_cast<std::size_t>(WalkEnd::overloaded)].add();
    actions_.emplace_back(PutDone{++last_walk_, false});
    return last_walk_;
  }
  const WalkId id = walk->id;
  walk->data.assign(value.begin(), value.end());
  walk->ttl = ttl;
  advance(now, id);
  return id;
}

WalkId Node::withdraw(TimePoint now, const Key& key) {
  Walk* walk = start_walk(now, WalkKind::withdraw, key, options_.walk_max);
  if (walk == nullptr) {
    counters_.walks[static_cast<std::size_t>(WalkEnd::overloaded)].add();
    actions_.emplace_back(PutDone{++last_walk_, false});
    return last_walk_;
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
  if (walk.accepted) {
    confirm_announced(now, walk);
    return;
  }
  if (walk.storing) {
    if (walk.kind != WalkKind::announce) store_further(now, walk);
    return;
  }
  if (is_settled(walk)) {
    conclude(now, walk);
    return;
  }
  while (walk.list.in_flight() < options_.alpha) {
    Candidate* next = walk.list.next(options_.table.bucket_size);
    if (next == nullptr) break;
    ask(now, walk, *next);
  }
  // Only when nothing could be sent: every candidate has failed on the spot.
  if (is_settled(walk)) conclude(now, walk);
}

bool Node::is_settled(Walk& walk) const {
  switch (walk.kind) {
    case WalkKind::join:
    case WalkKind::refresh:
      return walk.list.settled(options_.table.bucket_size);
    case WalkKind::get:
      return walk.list.settled(options_.get_width);
    case WalkKind::put:
    case WalkKind::withdraw:
      return walk.list.settled(options_.replicas);
    case WalkKind::announce: {
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
  find.target = walk.list.target();
  find.want_values = walk.kind == WalkKind::get || walk.kind == WalkKind::announce;
  find.padding = padding_for(find);
  Rpc rpc;
  rpc.to = candidate.contact.rpc;
  rpc.expected = candidate.contact.id;
  rpc.purpose = Purpose::find;
  rpc.walk = walk.id;
  rpc.attempts_max = options_.find_attempts;
  candidate.state = send_rpc(now, std::move(rpc), find) ? State::asked : State::failed;
}

// Nobody out on the Internet shall make us send to our own private networks.
void Node::add_named(Walk& walk, const std::vector<Contact>& contacts, const Endpoint& by, int hops) {
  for (const Contact& contact : contacts) {
    const IpAddress& address = contact.rpc.address;
    if (address.is_unspecified() || (by.address.is_global_unicast() && !address.is_global_unicast())) {
      counters_.unfollowed.add();
      continue;
    }
    walk.list.add(contact, hops);
  }
}

void Node::on_nodes(TimePoint now, const Rpc& rpc, Nodes& nodes) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  Candidate* candidate = walk.list.find(rpc.expected);
  if (candidate == nullptr) return;
  candidate->state = State::answered;
  candidate->token = nodes.token;
  const int hops = candidate->hops;
  walk.hops = std::max(walk.hops, hops);
  add_named(walk, nodes.contacts, rpc.to, hops + 1);
  if (!nodes.values.empty()) collect(walk, nodes.values);
  if (walk.kind == WalkKind::get && !walk.seen.empty()) {
    walk.hops = hops;
    report_found(walk, std::move(walk.seen), WalkEnd::found);
    finish(now, walk, WalkEnd::found);
    return;
  }
  advance(now, rpc.walk);
}

// Keeps what counts: of a get, all values of others, and ours for the case that there is nothing else; of an
// announcement, complete values of others and provisional ones that stand before our own.
void Node::collect(Walk& walk, std::vector<WireValue>& values) {
  bool after_own = false;
  for (WireValue& value : values) {
    if (is_publisher(value, self_)) {
      after_own = value.provisional;
      if (walk.kind == WalkKind::get) walk.own = {std::move(value)};
      continue;
    }
    if (walk.kind == WalkKind::announce && value.provisional && after_own) continue;
    const bool known = std::any_of(walk.seen.begin(), walk.seen.end(), [&](const WireValue& other) {
      return other.publisher == value.publisher;
    });
    if (!known && walk.seen.size() < kValuesMax) walk.seen.push_back(std::move(value));
  }
}

void Node::candidate_failed(TimePoint now, const Rpc& rpc) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  Candidate* candidate = walk.list.find(rpc.expected);
  if (rpc.purpose == Purpose::find) {
    if (candidate != nullptr) candidate->state = State::failed;
  } else {
    --walk.stores_in_flight;
    if (candidate != nullptr) candidate->state = State::failed;
    // The place to announce at is gone: the next closest is sought among those already known.
    if (walk.kind == WalkKind::announce) walk.storing = false;
  }
  advance(now, rpc.walk);
}

// ---- at the end of the way

void Node::conclude(TimePoint now, Walk& walk) {
  switch (walk.kind) {
    case WalkKind::join:
    case WalkKind::refresh:
      finish(now, walk, WalkEnd::exhausted);
      return;
    case WalkKind::get: {
      const WalkEnd end = !walk.own.empty()                ? WalkEnd::found
                          : walk.list.candidates().empty() ? WalkEnd::isolated
                                                           : WalkEnd::exhausted;
      report_found(walk, std::move(walk.own), end);
      finish(now, walk, end);
      return;
    }
    case WalkKind::put:
    case WalkKind::withdraw:
      walk.storing = true;
      store_further(now, walk);
      return;
    case WalkKind::announce:
      announce_at_head(now, walk);
      return;
  }
}

void Node::store_further(TimePoint now, Walk& walk) {
  const Key& key = walk.list.target();
  // We are one of the closest ourselves, maybe.
  if (walk.rounds++ == 0) {
    if (walk.kind == WalkKind::withdraw) {
      if (storage_.withdraw(key, self_)) ++walk.stored;
    } else if (walk.list.closer_than(walk.list.own_distance()) < options_.replicas &&
               storage_.put(now, key, self_, walk.data, walk.ttl, false) != Storage::Outcome::full) {
      ++walk.stored;
    }
  }
  const auto wanted = static_cast<int>(options_.replicas);
  int asked = 0;
  for (Candidate& candidate : walk.list.candidates()) {
    if (walk.stored + walk.stores_in_flight >= wanted) break;
    // Where there was nothing to withdraw, there is no use in looking further out than a put goes.
    if (walk.kind == WalkKind::withdraw && asked >= wanted) break;
    if (candidate.tried) ++asked;
    if (candidate.state != State::answered || candidate.tried) continue;
    candidate.tried = true;
    ++asked;
    Rpc rpc;
    rpc.to = candidate.contact.rpc;
    rpc.expected = candidate.contact.id;
    rpc.walk = walk.id;
    rpc.attempts_max = options_.store_attempts;
    const bool is_put = walk.kind == WalkKind::put;
    rpc.purpose = is_put ? Purpose::store : Purpose::withdraw;
    const auto ttl = static_cast<std::uint32_t>(std::clamp<std::int64_t>(walk.ttl.count(), 0, UINT32_MAX));
    Body body = is_put ? Body(Store{key, candidate.token, ttl, false, walk.data})
                       : Body(Withdraw{key, candidate.token});
    if (send_rpc(now, std::move(rpc), std::move(body))) ++walk.stores_in_flight;
  }
  if (walk.stores_in_flight == 0) {
    actions_.emplace_back(PutDone{walk.id, walk.stored > 0});
    walk.reported = true;
    finish(now, walk, table_.size() == 0 ? WalkEnd::isolated : WalkEnd::exhausted);
  }
}

void Node::on_stored(TimePoint now, const Rpc& rpc, const Stored& reply) {
  if (reply.status == StoreStatus::token_needed && !rpc.token_retried) {
    // Our address or its secret changed: once more, with the token that it just gave.
    auto request = decode(rpc.request, network_);
    if (request) {
      std::visit(
          [&](auto& body) {
            if constexpr (requires { body.token; }) body.token = reply.token;
          },
          request->body);
      Rpc again = rpc;
      again.attempts = 1;
      again.token_retried = true;
      if (send_rpc(now, std::move(again), std::move(request->body))) return;
    }
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
      ++walk.stored;
      break;
    default:
      break;
  }
  advance(now, rpc.walk);
}

void Node::announce_at_head(TimePoint now, Walk& walk) {
  Candidate* head = walk.list.head();
  if (head == nullptr || walk.list.own_distance() < head->from_target) {
    announce_here(now, walk);
    return;
  }
  walk.storing = true;
  Announce announce;
  announce.key = walk.list.target();
  announce.token = head->token;
  announce.insist = walk.insist;
  announce.ttl_seconds =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(walk.ttl.count(), 0, UINT32_MAX));
  announce.data = walk.data;
  announce.padding = padding_for(announce);
  Rpc rpc;
  rpc.to = head->contact.rpc;
  rpc.expected = head->contact.id;
  rpc.purpose = Purpose::announce;
  rpc.walk = walk.id;
  rpc.attempts_max = options_.store_attempts;
  ++walk.stores_in_flight;
  if (!send_rpc(now, std::move(rpc), std::move(announce))) {
    report_announced(walk, std::move(walk.seen), false, WalkEnd::overloaded);
    finish(now, walk, WalkEnd::overloaded);
  }
}

// The closest live node is ourselves: the same rules as for a stranger that announces here.
void Node::announce_here(TimePoint now, Walk& walk) {
  const Key& key = walk.list.target();
  for (const WireValue& seen : walk.seen) {
    const StoredValue value{seen.publisher, seen.data, now - std::chrono::milliseconds(seen.age_ms),
                            now + std::chrono::seconds(seen.ttl_seconds), seen.provisional};
    (void)storage_.merge(now, key, value);  // what does not fit is not remembered, as with any other value
  }
  const bool stored = storage_.put(now, key, self_, walk.data, walk.ttl, true) != Storage::Outcome::full;
  if (stored) mark_for_replication(now, key);
  std::vector<WireValue> earlier;
  for (const StoredValue* value : storage_.earlier(now, key, self_, options_.reply_values, random_)) {
    earlier.push_back(to_wire(now, *value));
  }
  const WalkEnd end = walk.list.head() == nullptr ? WalkEnd::isolated
                      : earlier.empty()           ? WalkEnd::exhausted
                                                  : WalkEnd::found;
  report_announced(walk, std::move(earlier), stored, end);
  finish(now, walk, end);
}

void Node::on_announced(TimePoint now, const Rpc& rpc, AnnounceReply& reply) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  --walk.stores_in_flight;
  walk.storing = false;
  Candidate* candidate = walk.list.find(rpc.expected);
  if (candidate == nullptr) return;
  candidate->token = reply.token;
  const bool again = ++walk.rounds <= kRoundsMax;
  switch (reply.status) {
    case StoreStatus::token_needed:
      if (!again) candidate->state = State::failed;
      break;
    case StoreStatus::not_closest:
      add_named(walk, reply.closer, rpc.to, candidate->hops + 1);
      candidate = walk.list.find(rpc.expected);
      if (candidate == nullptr) return;
      for (const Contact& contact : reply.closer) {
        // It is said to live: whom we gave up gets a second chance.
        Candidate* closer = walk.list.find(contact.id);
        if (closer != nullptr && closer->state == State::failed && !closer->revived) {
          closer->revived = true;
          closer->state = State::fresh;
        }
      }
      // Nobody closer is left to be asked: we cannot reach whom it can.
      if (const Candidate* head = walk.list.head(); head != nullptr && head->contact.id == rpc.expected)
        walk.insist = true;
      if (!again) candidate->state = State::failed;
      break;
    case StoreStatus::stored:
    case StoreStatus::renewed:
    case StoreStatus::full: {
      std::erase_if(reply.earlier, [this](const WireValue& v) { return is_publisher(v, self_); });
      walk.accepted = std::move(reply);
      walk.accepted_by = rpc.expected;
      break;
    }
    default:
      candidate->state = State::failed;
      break;
  }
  advance(now, rpc.walk);
}

// Our announcement was taken. Before we believe that we are first, the next closest node is heard as well,
// unless it is slow: it holds a replica, and the one that answered may have joined or restarted a moment ago
// and know of nobody.
void Node::confirm_announced(TimePoint now, Walk& walk) {
  const bool renewed = walk.accepted->status == StoreStatus::renewed;
  if (walk.accepted->earlier.empty() && !renewed && !walk.list.is_quiet(2)) {
    Candidate* next = walk.list.next(2);
    if (next != nullptr && walk.list.in_flight() < options_.alpha) ask(now, walk, *next);
    if (!walk.list.is_quiet(2)) return;
  }
  const Candidate* head = walk.list.head();
  if (!renewed && head != nullptr && head->state == State::answered &&
      head->from_target < distance(walk.accepted_by, walk.list.target()) && walk.rounds <= kRoundsMax) {
    // One that is closer still has turned up meanwhile: others will go there.
    collect(walk, walk.accepted->earlier);
    walk.accepted.reset();
    announce_at_head(now, walk);
    return;
  }
  std::vector<WireValue> earlier = std::move(walk.accepted->earlier);
  if (!renewed) {
    for (WireValue& seen : walk.seen) {
      const bool known = std::any_of(earlier.begin(), earlier.end(),
                                     [&](const WireValue& v) { return v.publisher == seen.publisher; });
      if (!known) earlier.push_back(std::move(seen));
    }
  }
  const bool stored = walk.accepted->status != StoreStatus::full;
  const WalkEnd end = earlier.empty() ? WalkEnd::exhausted : WalkEnd::found;
  report_announced(walk, std::move(earlier), stored, end);
  finish(now, walk, end);
}

// ---- endings

void Node::walk_timed_out(TimePoint now, WalkId id) {
  Walk& walk = *walks_.at(id);
  switch (walk.kind) {
    case WalkKind::get:
      report_found(walk, std::move(walk.own), WalkEnd::deadline);
      finish(now, walk, WalkEnd::deadline);
      return;
    case WalkKind::announce:
      report_announced(walk, walk.seen, walk.accepted && walk.accepted->status != StoreStatus::full,
                       WalkEnd::deadline);
      if (now >= walk.ends) {
        finish(now, walk, WalkEnd::deadline);
      } else {
        // Whoever comes later shall learn of us all the same.
        walk.due = walk.ends;
        timers_.push({walk.due, true, walk.id});
      }
      return;
    case WalkKind::put:
    case WalkKind::withdraw:
      actions_.emplace_back(PutDone{walk.id, walk.stored > 0});
      finish(now, walk, WalkEnd::deadline);
      return;
    case WalkKind::join:
    case WalkKind::refresh:
      finish(now, walk, WalkEnd::deadline);
      return;
  }
}

Value Node::to_value(WireValue value) const {
  Value out{
      value.publisher, std::move(value.data), std::chrono::seconds(value.ttl_seconds), value.provisional, {}};
  if (const TableEntry* entry = table_.find(value.publisher)) out.rtt = entry->rtt.least();
  return out;
}

void Node::report_announced(Walk& walk, std::vector<WireValue> earlier, bool stored, WalkEnd end) {
  if (walk.reported) return;
  walk.reported = true;
  Announced out;
  for (WireValue& value : earlier) out.earlier.push_back(to_value(std::move(value)));
  out.stored = stored;
  out.end = end;
  counters_.walks[static_cast<std::size_t>(end)].add();
  actions_.emplace_back(AnnounceDone{walk.id, std::move(out)});
}

void Node::report_found(Walk& walk, std::vector<WireValue> values, WalkEnd end) {
  Found out;
  for (WireValue& value : values) out.values.push_back(to_value(std::move(value)));
  out.hops = walk.hops;
  out.end = end;
  counters_.walks[static_cast<std::size_t>(end)].add();
  actions_.emplace_back(GetDone{walk.id, std::move(out)});
}

void Node::finish(TimePoint now, Walk& walk, WalkEnd) {
  const WalkId id = walk.id;
  const bool is_join = walk.kind == WalkKind::join;
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
