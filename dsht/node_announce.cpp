// Announcements: who fetches an object first, and who waits for whom. Put and get in one traversal.
//
// All announcers of a key must meet, and where they meet the order of arrival decides. At levels 2 and 1 the
// first of a cluster goes on outwards, all others are told of it and are done; so of a crowd everywhere only
// one of each cluster comes to level 0, where the live node closest to the key decides who is first of all.
// The clusters' word need not be exact: two who are first in what they both take for one cluster meet further
// out. Nobody can wait in a ring: who is told of an earlier one does not go further outwards, so nobody out
// there waits for him.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

// Redirections of one announcement; in a settled network there is none, while nodes join one or two.
constexpr int kRoundsMax = 8;
// A token holds for 5 to 10 minutes.
constexpr Duration kTokenFresh = std::chrono::minutes(4);

}  // namespace

using State = Candidate::State;

WalkId Node::announce(TimePoint now, const Key& key, ByteView value, std::chrono::seconds ttl,
                      Duration budget) {
  Walk* walk =
      start_walk(now, WalkKind::announce, key, budget, kAllLevels, make_record(now, key, value, ttl, true));
  if (walk == nullptr) return refuse_walk(AnnounceDone{++last_walk_, {{}, 0, false, WalkEnd::overloaded}});
  const WalkId id = walk->id;
  advance(now, id);
  return id;
}

void Node::announce_on(TimePoint now, Walk& walk) {
  if (walk.level > 0) {
    announce_near(now, walk);
  } else if (walk.accepted) {
    confirm_announced(now, walk);
  } else if (!walk.storing && look_around(now, walk)) {
    Candidate* head = walk.list.head();
    if (head == nullptr || walk.list.own_distance() < head->from_target) {
      announce_here(now, walk);
    } else if (!announce_to(now, walk, *head, head->token)) {
      report_announced(walk, walk.seen, false, WalkEnd::overloaded);
      finish(now, walk);
    }
  }
}

// One round trip where the place of the key is known, as it is in a settled cluster.
void Node::announce_near(TimePoint now, Walk& walk) {
  Candidate* head = walk.list.head();
  if (head == nullptr || walk.list.own_distance() < head->from_target) {
    announce_here(now, walk);
    return;
  }
  switch (head->state) {
    case State::fresh: {
      const TableEntry* entry = table_.find(head->contact.id);
      const bool has_token = entry != nullptr && entry->token != 0 && now - entry->token_at < kTokenFresh;
      if (!has_token) {
        ask(now, walk, *head);
        if (head->state == State::failed) advance(now, walk.id);
      } else {
        (void)announce_to(now, walk, *head, entry->token);
      }
      return;
    }
    case State::answered:
      if (!walk.storing) (void)announce_to(now, walk, *head, head->token);
      return;
    case State::slow:
      // Further out somebody may answer sooner; what it says still counts if it comes.
      walk.storing = false;
      if (go_outwards(now, walk)) advance(now, walk.id);
      return;
    default:
      return;
  }
}

bool Node::announce_to(TimePoint now, Walk& walk, Candidate& candidate, std::uint64_t token) {
  Announce announce;
  announce.key = walk.key;
  announce.token = token;
  announce.insist = walk.insist;
  announce.record = walk.record;
  announce.padding = padding_for(announce);
  Rpc rpc;
  rpc.to = candidate.contact.rpc;
  rpc.expected = candidate.contact.id;
  rpc.purpose = Purpose::announce;
  rpc.level = walk.level;
  rpc.walk = walk.id;
  rpc.attempts_max = options_.store_attempts;
  if (!send_rpc(now, std::move(rpc), std::move(announce))) {
    candidate.state = State::failed;
    return false;
  }
  walk.storing = true;
  ++walk.stores_in_flight;
  if (walk.level > 0) candidate.state = State::asked;
  return true;
}

// The closest live node is ourselves: the same rules as for a stranger that announces here.
void Node::announce_here(TimePoint now, Walk& walk) {
  Storage& storage = storage_[walk.level];
  for (const WireValue& seen : walk.seen) {
    const StoredValue value{credentials_.id_of(seen.record.publisher), seen.record,
                            now - std::chrono::milliseconds(seen.age_ms),
                            now + std::chrono::seconds(seen.left_seconds)};
    (void)storage.merge(now, walk.key,
                        value);  // what does not fit is not remembered, as with any other value
  }
  if (storage.put(now, walk.key, self_, walk.record) != Storage::Outcome::full) {
    ++walk.stored;
    if (walk.level == 0) mark_for_replication(now, walk.key);
  }
  std::vector<WireValue> earlier;
  for (const StoredValue* value : storage.earlier(now, walk.key, self_, options_.reply_values, random_)) {
    earlier.push_back(to_wire(now, *value));
  }
  if (earlier.empty() && go_outwards(now, walk)) {
    advance(now, walk.id);
    return;
  }
  const bool is_alone = walk.level == 0 && walk.list.head() == nullptr;
  walk.found_level = walk.level;
  report_announced(walk, earlier, walk.stored > 0,
                   !earlier.empty() ? WalkEnd::found
                   : is_alone       ? WalkEnd::isolated
                                    : WalkEnd::exhausted);
  finish(now, walk);
}

void Node::on_announced(TimePoint now, const Rpc& rpc, AnnounceReply& reply) {
  const auto found = walks_.find(rpc.walk);
  if (found == walks_.end()) return;
  Walk& walk = *found->second;
  --walk.stores_in_flight;
  keep_authentic(walk.key, reply.earlier);
  std::erase_if(reply.earlier, [this](const WireValue& value) {
    return value.record.publisher == credentials_.public_key();
  });
  const bool is_taken = reply.status == StoreStatus::stored || reply.status == StoreStatus::renewed ||
                        reply.status == StoreStatus::full;
  if (is_taken && reply.status != StoreStatus::full) ++walk.stored;
  // Who has gone on outwards may be first there: he must no longer wait for one who only announced himself
  // near by, for that one may be told to wait for him.
  if (rpc.level != walk.level) drop_provisional(reply.earlier);
  if (rpc.level > 0 && is_taken && reply.earlier.empty()) {
    reply.earlier = walk.seen;
    drop_provisional(reply.earlier);
  }
  if (rpc.level > 0 && is_taken && !reply.earlier.empty()) {
    walk.found_level = rpc.level;
    report_announced(walk, reply.earlier, walk.stored > 0, WalkEnd::found);
    finish(now, walk);
    return;
  }
  if (rpc.level != walk.level) return;  // too late to matter
  walk.storing = false;
  Candidate* candidate = walk.list.find(rpc.expected);
  if (candidate == nullptr) return;
  candidate->token = reply.token;
  candidate->state = State::answered;
  walk.reached_bits = std::max(walk.reached_bits, candidate->from_target.leading_zeros());
  const bool again = ++walk.rounds <= kRoundsMax;
  if (is_taken) {
    if (walk.level > 0) {
      walk.outer_hops = candidate->hops;
      for (const Contact& contact : reply.outer) {
        if (is_followed(contact, rpc.to)) walk.outer.push_back({contact, rpc.expected});
      }
      if (go_outwards(now, walk)) advance(now, rpc.walk);
      return;
    }
    walk.accepted = std::move(reply);
    walk.accepted_by = rpc.expected;
  } else if (reply.status == StoreStatus::not_closest) {
    add_named(walk, reply.closer, rpc.expected, rpc.to, candidate->hops + 1);
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
    candidate = walk.list.find(rpc.expected);
    if (!again && candidate != nullptr) candidate->state = State::failed;
  } else if (reply.status != StoreStatus::token_needed || !again) {
    candidate->state = State::failed;
  }
  advance(now, rpc.walk);
}

// Our announcement was taken at level 0. Before we believe that we are first, one of the next closest nodes
// is heard as well: it holds a replica, and the one that answered may have joined or restarted a moment ago
// and know of nobody.
void Node::confirm_announced(TimePoint now, Walk& walk) {
  const bool renewed = walk.accepted->status == StoreStatus::renewed;
  const auto is_confirmed = [&] { return walk.list.answered(3) >= 2 || walk.list.settled(2); };
  if (walk.accepted->earlier.empty() && !renewed && !is_confirmed()) {
    // If the second is late, the third will do.
    Candidate* next = walk.list.is_quiet(2) ? walk.list.next(3) : walk.list.next(2);
    if (next != nullptr && walk.list.in_flight() < options_.alpha[0]) ask(now, walk, *next);
    if (!is_confirmed()) return;
  }
  const Candidate* head = walk.list.head();
  if (!renewed && head != nullptr && head->state == State::answered &&
      head->from_target < distance(walk.accepted_by, walk.key) && walk.rounds <= kRoundsMax) {
    // One that is closer still has turned up meanwhile: others will go there.
    collect(walk, walk.accepted->earlier);
    walk.accepted.reset();
    announce_on(now, walk);
    return;
  }
  std::vector<WireValue> earlier = std::move(walk.accepted->earlier);
  if (!renewed) {
    for (WireValue& seen : walk.seen) {
      const bool known = std::any_of(earlier.begin(), earlier.end(), [&](const WireValue& v) {
        return v.record.publisher == seen.record.publisher;
      });
      if (!known) earlier.push_back(std::move(seen));
    }
  }
  walk.found_level = 0;
  report_announced(walk, earlier, walk.stored > 0, earlier.empty() ? WalkEnd::exhausted : WalkEnd::found);
  finish(now, walk);
}

void Node::report_announced(Walk& walk, const std::vector<WireValue>& earlier, bool stored, WalkEnd end) {
  if (walk.reported) return;
  walk.reported = true;
  Announced out;
  for (const WireValue& value : earlier) out.earlier.push_back(to_value(value));
  out.level = walk.found_level;
  out.stored = stored;
  out.end = end;
  counters_.walks[static_cast<std::size_t>(end)].add();
  if (end == WalkEnd::found) counters_.found_at[walk.found_level].add();
  actions_.emplace_back(AnnounceDone{walk.id, std::move(out)});
}

}  // namespace reef::dsht
