// The answering half of a node: what it does for the requests of others.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kCloserContacts = 3;  // named to an announcer that should have gone to them

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// Beside header and lists: observed endpoint, status, token, two counts.
std::size_t reply_overhead(const Endpoint& observed) {
  return kHeaderBytes + wire_bytes(observed) + 1 + 8 + 1 + 1;
}

}  // namespace

bool Node::shares_cluster(const Header& header) const {
  if (header.level == 0) return true;
  const ClusterId& ours = clusters_[header.level - 1].id;
  return !ours.is_zero() && ours == header.clusters[header.level - 1].id;
}

std::size_t Node::closer_contacts(const Key& key, std::size_t enough) const {
  const Distance own = distance(self_, key);
  std::size_t count = 0;
  for (const TableEntry& entry : table_.entries()) {
    if (!entry.is_suspect() && distance(entry.contact.id, key) < own && ++count >= enough) break;
  }
  return count;
}

WireValue Node::to_wire(TimePoint now, const StoredValue& value) const {
  const auto ttl = std::chrono::ceil<std::chrono::seconds>(value.expires - now).count();
  const auto age =
      std::chrono::floor<std::chrono::milliseconds>(std::max(now - value.arrived, Duration::zero())).count();
  return {value.publisher, static_cast<std::uint32_t>(std::clamp<std::int64_t>(ttl, 0, UINT32_MAX)),
          static_cast<std::uint32_t>(std::min<std::int64_t>(age, UINT32_MAX)), value.provisional, value.data};
}

void Node::on_request(TimePoint now, const Endpoint& from, std::size_t request_bytes, Message& message) {
  const Header& h = message.header;
  if (!shares_cluster(h)) {
    counters_.foreign_cluster.add();
    return;
  }
  counters_.requests[static_cast<std::size_t>(message.type())].add();
  const Contact contact{h.sender, from, h.http_port, h.dns_port, h.services};
  if (message.type() == MessageType::leave) {
    on_leave(now, contact);
    return;
  }
  const std::size_t room = std::min(kDatagramBytesMax, kReplyFactorMax * request_bytes);
  Body reply =
      std::visit(Overloaded{
                     [&](const Ping&) -> Body {
                       return Pong{from, tokens_.mint(now, from.address)};
                     },
                     [&](const Find& m) { return serve(now, contact, room, m); },
                     [&](const Store& m) { return serve(now, contact, m); },
                     [&](const Announce& m) { return serve(now, contact, room, m); },
                     [&](const Withdraw& m) { return serve(now, contact, m); },
                     [&](const Handover& m) { return serve(now, contact, m); },
                     [](const auto&) -> Body { return Ping{}; },  // replies and LEAVE do not come here
                 },
                 message.body);
  send(from, encode({own_header(h.transaction, h.level), std::move(reply)}));
  note_requester(now, contact);
}

Body Node::serve(TimePoint now, const Contact& from, std::size_t room, const Find& find) {
  Nodes reply;
  reply.observed = from.rpc;
  reply.token = tokens_.mint(now, from.rpc.address);
  std::size_t used = reply_overhead(from.rpc);
  if (find.want_values) {
    for (const StoredValue* value :
         storage_.sample(now, find.target, from.id, options_.reply_values, random_)) {
      WireValue wire = to_wire(now, *value);
      if (used + wire_bytes(wire) > room) break;
      used += wire_bytes(wire);
      reply.values.push_back(std::move(wire));
    }
  }
  // Suspects are not named: whoever asks would only wait for them.
  for (const TableEntry* entry : table_.closest(find.target, options_.table.bucket_size + 1, false)) {
    if (entry->contact.id == from.id || reply.contacts.size() >= options_.table.bucket_size) continue;
    if (used + wire_bytes(entry->contact) > room) break;
    used += wire_bytes(entry->contact);
    reply.contacts.push_back(entry->contact);
  }
  return reply;
}

Body Node::serve(TimePoint now, const Contact& from, const Store& store) {
  Stored reply{from.rpc, StoreStatus::token_needed, tokens_.mint(now, from.rpc.address)};
  if (!tokens_.is_valid(now, from.rpc.address, store.token)) {
    counters_.token_needed.add();
    return reply;
  }
  if (leaving_) {
    reply.status = StoreStatus::refused;
    return reply;
  }
  switch (storage_.put(now, store.key, from.id, store.data, std::chrono::seconds(store.ttl_seconds),
                       store.provisional)) {
    case Storage::Outcome::stored:
      reply.status = StoreStatus::stored;
      break;
    case Storage::Outcome::renewed:
      reply.status = StoreStatus::renewed;
      break;
    case Storage::Outcome::full:
      reply.status = StoreStatus::full;
      counters_.values_full.add();
      break;
  }
  return reply;
}

Body Node::serve(TimePoint now, const Contact& from, std::size_t room, const Announce& announce) {
  AnnounceReply reply;
  reply.observed = from.rpc;
  reply.token = tokens_.mint(now, from.rpc.address);
  if (!tokens_.is_valid(now, from.rpc.address, announce.token)) {
    counters_.token_needed.add();
    reply.status = StoreStatus::token_needed;
    return reply;
  }
  if (leaving_) {
    reply.status = StoreStatus::refused;
    return reply;
  }
  std::size_t used = reply_overhead(from.rpc);
  // All announcers of a key must meet at one node. Whoever knows a closer one says so, unless the announcer
  // has been there in vain.
  if (!announce.insist) {
    const Distance own = distance(self_, announce.key);
    for (const TableEntry* entry : table_.closest(announce.key, kCloserContacts + 1, false)) {
      if (entry->contact.id == from.id || !(distance(entry->contact.id, announce.key) < own)) continue;
      if (used + wire_bytes(entry->contact) > room || reply.closer.size() >= kCloserContacts) break;
      used += wire_bytes(entry->contact);
      reply.closer.push_back(entry->contact);
    }
    if (!reply.closer.empty()) {
      counters_.redirected.add();
      reply.status = StoreStatus::not_closest;
      return reply;
    }
  }
  switch (storage_.put(now, announce.key, from.id, announce.data, std::chrono::seconds(announce.ttl_seconds),
                       true)) {
    case Storage::Outcome::stored:
      reply.status = StoreStatus::stored;
      mark_for_replication(now, announce.key);
      break;
    case Storage::Outcome::renewed:
      reply.status = StoreStatus::renewed;
      mark_for_replication(now, announce.key);
      break;
    case Storage::Outcome::full:
      reply.status = StoreStatus::full;
      counters_.values_full.add();
      break;
  }
  for (const StoredValue* value :
       storage_.earlier(now, announce.key, from.id, options_.reply_values, random_)) {
    WireValue wire = to_wire(now, *value);
    if (used + wire_bytes(wire) > room) break;
    used += wire_bytes(wire);
    reply.earlier.push_back(std::move(wire));
  }
  return reply;
}

Body Node::serve(TimePoint now, const Contact& from, const Withdraw& withdraw) {
  Stored reply{from.rpc, StoreStatus::token_needed, tokens_.mint(now, from.rpc.address)};
  if (!tokens_.is_valid(now, from.rpc.address, withdraw.token)) {
    counters_.token_needed.add();
    return reply;
  }
  reply.status = storage_.withdraw(withdraw.key, from.id) ? StoreStatus::withdrawn : StoreStatus::absent;
  return reply;
}

Body Node::serve(TimePoint now, const Contact& from, const Handover& handover) {
  Stored reply{from.rpc, StoreStatus::token_needed, tokens_.mint(now, from.rpc.address)};
  if (!tokens_.is_valid(now, from.rpc.address, handover.token)) {
    counters_.token_needed.add();
    return reply;
  }
  if (leaving_) {
    reply.status = StoreStatus::refused;
    return reply;
  }
  // Values come to those next to their key only: nobody can use us to hold what is not ours to hold.
  if (closer_contacts(handover.key, options_.table.bucket_size) >= options_.table.bucket_size) {
    counters_.values_refused.add();
    reply.status = StoreStatus::refused;
    return reply;
  }
  reply.status = StoreStatus::stored;
  for (const WireValue& wire : handover.values) {
    StoredValue value{wire.publisher, wire.data, now - std::chrono::milliseconds(wire.age_ms),
                      now + std::chrono::seconds(wire.ttl_seconds), wire.provisional};
    if (storage_.merge(now, handover.key, value) == Storage::Outcome::full) {
      counters_.values_full.add();
      reply.status = StoreStatus::full;
    }
  }
  return reply;
}

void Node::on_leave(TimePoint now, const Contact& from) {
  const TableEntry* entry = table_.find(from.id);
  if (entry == nullptr || entry->contact.rpc != from.rpc) return;
  // Anybody could have sent this in its name: it becomes suspect, hence is no longer named to others, and is
  // asked.
  const Contact contact = entry->contact;
  if (table_.timed_out(from.id)) {
    contact_dropped(now, contact);
  } else {
    ping(now, contact);
  }
}

}  // namespace reef::dsht
