// The answering half of a node: what it does for the requests of others.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kCloserContacts = 3;  // named to an announcer that should have gone to them
constexpr std::size_t kOuterContacts = 4;   // of the next outer level
constexpr std::size_t kSampleContacts = 16;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// Beside header and lists: observed endpoint, status or flags, token, three counts.
std::size_t reply_overhead(const Endpoint& observed) {
  return kHeaderBytes + wire_bytes(observed) + 1 + 8 + 3;
}

}  // namespace

struct Node::Asking {
  const Contact& from;
  Level level;
  bool shares_outer;  // we are in one cluster at the next outer level
  std::size_t room;   // bytes of the reply
};

WireValue Node::to_wire(TimePoint now, const StoredValue& value) const {
  const auto left = std::chrono::ceil<std::chrono::seconds>(value.expires - now).count();
  const auto age =
      std::chrono::floor<std::chrono::milliseconds>(std::max(now - value.arrived, Duration::zero())).count();
  return {value.record,
          static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, value.record.ttl_seconds)),
          static_cast<std::uint32_t>(std::min<std::int64_t>(age, UINT32_MAX))};
}

void Node::on_request(TimePoint now, const Endpoint& from, std::size_t request_bytes, Message& message) {
  const Header& h = message.header;
  const auto shares = [&](Level level) {
    return level == 0 || (level < options_.levels && clusters_.serves(now, level, h.clusters[level - 1].id));
  };
  if (message.type() != MessageType::sample && !shares(h.level)) {
    counters_.foreign_cluster.add();
    return;
  }
  counters_.requests[static_cast<std::size_t>(message.type())].add();
  const Contact contact{h.sender, from, h.http_port, h.dns_port, h.services};
  if (message.type() == MessageType::leave) {
    on_leave(now, contact);
    return;
  }
  const bool proves = h.prove && may_use_signature(now);
  std::size_t room = std::min(kMessageBytesMax, kReplyFactorMax * request_bytes);
  if (proves) room -= kProofBytes;
  const Asking asking{contact, h.level, h.level > 0 && shares(static_cast<Level>(h.level - 1)), room};
  auto body = std::visit(Overloaded{
                             [&](const Ping&) -> std::optional<Body> {
                               return Pong{from, tokens_.mint(now, from.address)};
                             },
                             [&](const Find& m) { return serve(now, asking, m); },
                             [&](const Store& m) { return serve(now, asking, m); },
                             [&](const Announce& m) { return serve(now, asking, m); },
                             [&](const Withdraw& m) { return serve(now, asking, m); },
                             [&](const Handover& m) { return serve(now, asking, m); },
                             [&](const Sample& m) { return serve(now, asking, m); },
                             // Replies and LEAVE do not come here.
                             [](const auto&) -> std::optional<Body> { return std::nullopt; },
                         },
                         message.body);
  if (!body) return;
  Message reply{own_header(h.transaction, h.level), std::move(*body), {}};
  if (proves) {
    reply.proof = Proof{credentials_.public_key(),
                        credentials_.sign(proof_bytes(network_, h.transaction, h.sender, self_, from))};
  }
  send(from, encode(reply));
  note_requester(now, contact, h);
}

// Complete values of any level are as good as another's; what is only announced counts at its own level,
// whose order of arrival it belongs to.
void Node::add_values(TimePoint now, const Asking& asking, const Key& key, std::size_t& used,
                      std::vector<WireValue>& out) {
  for (std::size_t i = 0; i < kLevels && out.empty(); ++i) {
    const std::size_t level = (asking.level + i) % kLevels;
    if (storage_[level].key_count() == 0) continue;
    for (const StoredValue* value :
         storage_[level].sample(now, key, asking.from.id, options_.reply_values, random_)) {
      if (i > 0 && value->record.provisional) continue;
      WireValue wire = to_wire(now, *value);
      if (used + wire_bytes(wire) > asking.room) break;
      used += wire_bytes(wire);
      out.push_back(std::move(wire));
    }
  }
}

// The values for which we are full: the asker's own, or as many of others as it takes.
void Node::add_proof_of_full(TimePoint now, const Asking& asking, const Find& find, std::size_t& used,
                             std::vector<WireValue>& out) {
  for (const StoredValue* value : storage_[asking.level].live(now, find.key)) {
    if (value->record.provisional) continue;
    WireValue wire = to_wire(now, *value);
    if (wire.left_seconds < find.ttl_seconds / 2 || used + wire_bytes(wire) > asking.room) continue;
    const bool is_own = value->publisher == asking.from.id;
    if (is_own) {
      for (const WireValue& other : out) used -= wire_bytes(other);
      out.clear();
    }
    used += wire_bytes(wire);
    out.push_back(std::move(wire));
    if (is_own || out.size() >= options_.storage.full_at) return;
  }
}

// Suspects are not named: whoever asks would only wait for them.
void Node::add_contacts(const Asking& asking, Level level, const Key& toward, std::size_t count,
                        std::size_t& used, std::vector<Contact>& out) {
  table_.closest(level, toward, count + 1, false, closest_);
  for (const TableEntry* entry : closest_) {
    if (entry->contact.id == asking.from.id || out.size() >= count) continue;
    if (used + wire_bytes(entry->contact) > asking.room) break;
    used += wire_bytes(entry->contact);
    out.push_back(entry->contact);
  }
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Find& find) {
  Nodes reply;
  reply.observed = asking.from.rpc;
  reply.token = tokens_.mint(now, asking.from.rpc.address);
  std::size_t used = reply_overhead(asking.from.rpc);
  switch (find.want) {
    case Want::contacts:
      break;
    case Want::values:
      reply.hot = gets_.is_loaded(now, find.key);
      if (!reply.hot) gets_.pass(now, find.key);
      add_values(now, asking, find.key, used, reply.values);
      break;
    case Want::place: {
      LoadMeter& puts = puts_[asking.level];
      reply.full = storage_[asking.level].is_full(now, find.key, std::chrono::seconds(find.ttl_seconds),
                                                  asking.from.id);
      reply.loaded = puts.is_loaded(now, find.key);
      if (reply.full) add_proof_of_full(now, asking, find, used, reply.values);
      if (reply.full && reply.loaded) {
        counters_.puts_turned_back.add();
      } else {
        puts.pass(now, find.key);
      }
      break;
    }
  }
  const std::size_t wanted = options_.table.bucket_size[0];
  add_contacts(asking, asking.level, find.toward, wanted, used, reply.contacts);
  if (asking.shares_outer && reply.values.empty()) {
    add_contacts(asking, static_cast<Level>(asking.level - 1), find.key, kOuterContacts, used, reply.outer);
  }
  return reply;
}

// Who has no token is turned away before his record is looked at: that costs us no signature, so that senders
// with made-up addresses cannot use up the budget.
bool Node::may_check(TimePoint now, const Asking& asking, std::uint64_t token) {
  return !tokens_.is_valid(now, asking.from.rpc.address, token) || may_use_signature(now);
}

// Why a write is not taken; nullopt: it may be. Records are their publisher's own word here.
std::optional<StoreStatus> Node::refusal(TimePoint now, const Asking& asking, std::uint64_t token,
                                         const Key& key, const Record& record) {
  if (!tokens_.is_valid(now, asking.from.rpc.address, token)) {
    counters_.token_needed.add();
    return StoreStatus::token_needed;
  }
  if (leaving_) return StoreStatus::refused;
  if (credentials_.id_of(record.publisher) != asking.from.id) return StoreStatus::refused;
  // A repetition, as the first answer came too late or not at all, was checked already.
  if (!storage_[asking.level].holds(key, record) && !is_authentic(key, record)) return StoreStatus::refused;
  return std::nullopt;
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Store& store) {
  if (!may_check(now, asking, store.token)) return std::nullopt;
  Stored reply{asking.from.rpc, StoreStatus::stored, tokens_.mint(now, asking.from.rpc.address)};
  if (const auto status = refusal(now, asking, store.token, store.key, store.record)) {
    reply.status = *status;
    return reply;
  }
  Storage& storage = storage_[asking.level];
  switch (storage.put(now, store.key, asking.from.id, store.record)) {
    case Storage::Outcome::renewed:
      reply.status = StoreStatus::renewed;
      break;
    case Storage::Outcome::full:
      reply.status = StoreStatus::full;
      counters_.values_full.add();
      break;
    case Storage::Outcome::old:
      counters_.values_old.add();
      break;
    default:
      break;
  }
  return reply;
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Announce& announce) {
  if (!may_check(now, asking, announce.token)) return std::nullopt;
  AnnounceReply reply;
  reply.observed = asking.from.rpc;
  reply.token = tokens_.mint(now, asking.from.rpc.address);
  if (const auto status = refusal(now, asking, announce.token, announce.key, announce.record)) {
    reply.status = *status;
    return reply;
  }
  std::size_t used = reply_overhead(asking.from.rpc);
  // All announcers of a key must meet at one node. Whoever knows a closer one says so, unless the announcer
  // has been there in vain.
  if (!announce.insist) {
    const Distance own = distance(self_, announce.key);
    table_.closest(asking.level, announce.key, kCloserContacts + 1, false, closest_);
    for (const TableEntry* entry : closest_) {
      if (entry->contact.id == asking.from.id || !(distance(entry->contact.id, announce.key) < own)) continue;
      if (used + wire_bytes(entry->contact) > asking.room || reply.closer.size() >= kCloserContacts) break;
      used += wire_bytes(entry->contact);
      reply.closer.push_back(entry->contact);
    }
    if (!reply.closer.empty()) {
      counters_.redirected.add();
      reply.status = StoreStatus::not_closest;
      return reply;
    }
  }
  Storage& storage = storage_[asking.level];
  switch (storage.put(now, announce.key, asking.from.id, announce.record)) {
    case Storage::Outcome::renewed:
    case Storage::Outcome::old:
      reply.status = StoreStatus::renewed;
      break;
    case Storage::Outcome::full:
      reply.status = StoreStatus::full;
      counters_.values_full.add();
      break;
    default:
      break;
  }
  if (asking.level == 0 && reply.status != StoreStatus::full) mark_for_replication(now, announce.key);
  for (const StoredValue* value :
       storage.earlier(now, announce.key, asking.from.id, options_.reply_values, random_)) {
    WireValue wire = to_wire(now, *value);
    if (used + wire_bytes(wire) > asking.room) break;
    used += wire_bytes(wire);
    reply.earlier.push_back(std::move(wire));
  }
  if (asking.shares_outer && reply.earlier.empty()) {
    add_contacts(asking, static_cast<Level>(asking.level - 1), announce.key, kOuterContacts, used,
                 reply.outer);
  }
  return reply;
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Withdraw& withdraw) {
  if (!may_check(now, asking, withdraw.token)) return std::nullopt;
  Stored reply{asking.from.rpc, StoreStatus::absent, tokens_.mint(now, asking.from.rpc.address)};
  if (const auto status = refusal(now, asking, withdraw.token, withdraw.key, withdraw.record)) {
    reply.status = *status;
    return reply;
  }
  const auto outcome = storage_[asking.level].put(now, withdraw.key, asking.from.id, withdraw.record);
  if (outcome == Storage::Outcome::withdrawn) reply.status = StoreStatus::withdrawn;
  return reply;
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Handover& handover) {
  Stored reply{asking.from.rpc, StoreStatus::token_needed, tokens_.mint(now, asking.from.rpc.address)};
  if (!tokens_.is_valid(now, asking.from.rpc.address, handover.token)) {
    counters_.token_needed.add();
    return reply;
  }
  reply.status = StoreStatus::refused;
  if (leaving_) return reply;
  // Values come to those next to their key only: nobody can use us to hold what is not ours to hold.
  const std::size_t near = options_.table.bucket_size[0];
  if (table_.count_closer(asking.level, handover.key, distance(self_, handover.key), near) >= near) {
    counters_.values_refused.add();
    return reply;
  }
  reply.status = StoreStatus::stored;
  for (const WireValue& wire : handover.values) {
    if (wire.record.ttl_seconds == 0) continue;
    // Most of what is handed over is here already, above all when nodes come and go quickly.
    if (!storage_[asking.level].holds(handover.key, wire.record)) {
      if (!may_use_signature(now)) return std::nullopt;
      if (!is_authentic(handover.key, wire.record)) continue;
    }
    StoredValue value{credentials_.id_of(wire.record.publisher), wire.record,
                      now - std::chrono::milliseconds(wire.age_ms),
                      now + std::chrono::seconds(wire.left_seconds)};
    if (storage_[asking.level].merge(now, handover.key, value) == Storage::Outcome::full) {
      counters_.values_full.add();
      reply.status = StoreStatus::full;
    }
  }
  return reply;
}

std::optional<Body> Node::serve(TimePoint now, const Asking& asking, const Sample& sample) {
  Nodes reply;
  reply.observed = asking.from.rpc;
  reply.token = tokens_.mint(now, asking.from.rpc.address);
  if (asking.level == 0 || asking.level >= options_.levels || clusters_.id(asking.level) != sample.cluster) {
    return reply;
  }
  std::vector<const TableEntry*> members;
  for (const TableEntry& entry : table_.entries()) {
    if (entry.stands_at(asking.level) && !entry.is_suspect() && entry.contact.id != asking.from.id) {
      members.push_back(&entry);
    }
  }
  std::size_t used = reply_overhead(asking.from.rpc);
  for (std::size_t i = 0; i < std::min(members.size(), kSampleContacts); ++i) {
    std::swap(members[i], members[i + random_.below(members.size() - i)]);
    const Contact& contact = members[i]->contact;
    if (used + wire_bytes(contact) > asking.room) break;
    used += wire_bytes(contact);
    reply.contacts.push_back(contact);
  }
  return reply;
}

void Node::on_leave(TimePoint now, const Contact& from) {
  const TableEntry* entry = table_.find(from.id);
  if (entry == nullptr || entry->contact.rpc != from.rpc) return;
  // Anybody could have sent this in its name, and more than once: it becomes suspect, hence is no longer
  // named to others, and is asked.
  const Contact contact = entry->contact;
  if (!entry->is_suspect() && table_.timed_out(from.id)) {
    contact_dropped(now, contact);
  } else {
    ping(now, contact);
  }
}

}  // namespace reef::dsht
