#include "dsht/node.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kVotesMax = 16;
constexpr Duration kTimeoutEstimateAge = std::chrono::seconds(1);

MessageType reply_to(MessageType request) {
  switch (request) {
    case MessageType::ping:
      return MessageType::pong;
    case MessageType::find:
      return MessageType::nodes;
    case MessageType::announce:
      return MessageType::announced;
    default:
      return MessageType::stored;
  }
}

SipKey derived(const SipKey& secret, std::string_view use) {
  const std::uint64_t low = siphash(secret, as_bytes(use));
  SipKey out = secret;
  ByteWriter writer(out);
  writer.u64(low);
  writer.u64(siphash(secret, writer.written()));
  return out;
}

}  // namespace

Node::Node(const NodeOptions& options, const NodeId& self, NetworkId network, const SipKey& secret,
           Random random, TimePoint now)
    : options_(options),
      self_(self),
      network_(network),
      secret_(derived(secret, "transactions")),
      random_(random),
      tokens_(derived(secret, "tokens")),
      rate_limit_(options.rate_limit, derived(secret, "rates")),
      table_(self, options.table),
      storage_(options.storage, derived(secret, "storage")),
      join_backoff_(options.join_retry_min),
      tick_at_(now + random_.between(Duration::zero(), options.tick)),
      pinging_(16, KeyedIdHash{derived(secret, "pings")}),
      first_timeout_(options.first_timeout_max),
      replicating_(16, KeyedIdHash{derived(secret, "replication")}) {
  bucket_refreshed_at_.fill(now);
}

void Node::take_actions(std::vector<Action>& out) {
  out.clear();
  out.swap(actions_);
}

// ---- time

TimePoint Node::next_deadline() const {
  TimePoint next = std::min({tick_at_, join_at_, self_refresh_at_, leave_by_});
  if (!timers_.empty()) next = std::min(next, timers_.top().at);
  if (!replications_.empty()) next = std::min(next, replications_.front().due);
  return next;
}

void Node::on_deadline(TimePoint now) {
  while (!timers_.empty() && timers_.top().at <= now) {
    const Timer timer = timers_.top();
    timers_.pop();
    if (timer.is_walk) {
      const auto walk = walks_.find(timer.id);
      if (walk != walks_.end() && walk->second->due == timer.at) walk_timed_out(now, timer.id);
    } else {
      const auto rpc = rpcs_.find(timer.id);
      if (rpc != rpcs_.end() && rpc->second.due == timer.at) rpc_timed_out(now, timer.id);
    }
  }
  if (now >= join_at_) try_join(now);
  if (now >= tick_at_) tick(now);
  if (now >= self_refresh_at_) refresh_self(now);
  if (!replications_.empty() && now >= replications_.front().due) replicate_some(now);
  if (now >= leave_by_) end_leaving();
  prune_timers();
}

void Node::prune_timers() {
  while (!timers_.empty()) {
    const Timer& timer = timers_.top();
    if (timer.is_walk) {
      const auto walk = walks_.find(timer.id);
      if (walk != walks_.end() && walk->second->due == timer.at) return;
    } else {
      const auto rpc = rpcs_.find(timer.id);
      if (rpc != rpcs_.end() && rpc->second.due == timer.at) return;
    }
    timers_.pop();
  }
}

// ---- sending

std::uint64_t Node::next_transaction() {
  std::array<std::byte, 8> input{};
  ByteWriter(input).u64(++transactions_);
  return siphash(secret_, input);
}

Header Node::own_header(std::uint64_t transaction, Level level) const {
  Header header;
  header.network = network_;
  header.transaction = transaction;
  header.sender = self_;
  header.http_port = options_.http_port;
  header.dns_port = options_.dns_port;
  header.services = options_.services;
  header.level = level;
  header.clusters = clusters_;
  return header;
}

void Node::send(const Endpoint& to, Bytes data) {
  counters_.datagrams_out.add();
  counters_.bytes_out.add(data.size());
  actions_.emplace_back(SendDatagram{to, std::move(data)});
}

std::optional<Duration> Node::rtt_p90() const {
  std::vector<Duration> rtts;
  rtts.reserve(table_.size());
  for (const TableEntry& entry : table_.entries()) {
    if (const auto rtt = entry.rtt.smoothed()) rtts.push_back(*rtt);
  }
  if (rtts.empty()) return std::nullopt;
  const auto at = rtts.begin() + static_cast<std::ptrdiff_t>((rtts.size() - 1) * 9 / 10);
  std::nth_element(rtts.begin(), at, rtts.end());
  return *at;
}

Duration Node::timeout_for(TimePoint now, const NodeId& id) {
  if (const TableEntry* entry = table_.find(id)) {
    if (const auto timeout = entry->rtt.timeout()) return *timeout;
  }
  // A stranger is expected to be about as far away as the others are.
  if (timeout_estimated_at_ == TimePoint::min() || now - timeout_estimated_at_ >= kTimeoutEstimateAge) {
    timeout_estimated_at_ = now;
    if (const auto rtt = rtt_p90()) {
      first_timeout_ = std::clamp(*rtt * 3 / 2 + std::chrono::milliseconds(50), RttEstimator::kTimeoutMin,
                                  std::max(RttEstimator::kTimeoutMin, options_.first_timeout_max));
    }
  }
  return first_timeout_;
}

bool Node::send_rpc(TimePoint now, Rpc rpc, Body body) {
  if (rpcs_.size() >= options_.rpcs_max) return false;
  const std::uint64_t transaction = next_transaction();
  Message message{own_header(transaction, 0), std::move(body)};
  rpc.reply_type = reply_to(message.type());
  rpc.request = encode(message);
  rpc.sent_at = now;
  rpc.timeout = timeout_for(now, rpc.expected);
  rpc.due = now + rpc.timeout;
  timers_.push({rpc.due, false, transaction});
  counters_.rpcs_sent.add();
  send(rpc.to, rpc.request);
  rpcs_.emplace(transaction, std::move(rpc));
  return true;
}

void Node::rpc_timed_out(TimePoint now, std::uint64_t transaction) {
  Rpc& rpc = rpcs_.at(transaction);
  const TableEntry* entry = table_.find(rpc.expected);
  if (entry != nullptr && entry->contact.rpc == rpc.to) {
    const Contact contact = entry->contact;
    if (table_.timed_out(rpc.expected)) contact_dropped(now, contact);
  }
  if (rpc.attempts < rpc.attempts_max) {
    ++rpc.attempts;
    rpc.timeout = rpc.timeout * 3 / 2;
    rpc.due = now + rpc.timeout;
    timers_.push({rpc.due, false, transaction});
    counters_.rpcs_retried.add();
    send(rpc.to, rpc.request);
    if (rpc.purpose == Purpose::find) {
      const auto walk = walks_.find(rpc.walk);
      if (walk == walks_.end()) return;
      Candidate* candidate = walk->second->list.find(rpc.expected);
      if (candidate != nullptr && candidate->state == Candidate::State::asked) {
        candidate->state = Candidate::State::slow;
        advance(now, rpc.walk);
      }
    }
    return;
  }
  const Rpc failed = std::move(rpc);
  rpcs_.erase(transaction);
  rpc_failed(now, failed);
}

void Node::rpc_failed(TimePoint now, const Rpc& rpc) {
  counters_.rpcs_failed.add();
  switch (rpc.purpose) {
    case Purpose::ping:
      pinging_.erase(rpc.expected);
      if (rpc.unverified) --unverified_pings_;
      break;
    case Purpose::seed:
      break;
    case Purpose::handover:
      --handovers_in_flight_;
      if (leaving_ && replications_.empty() && handovers_in_flight_ == 0) end_leaving();
      break;
    case Purpose::find:
    case Purpose::store:
    case Purpose::announce:
    case Purpose::withdraw:
      candidate_failed(now, rpc);
      break;
  }
  // Somebody in the table who failed to answer is asked again at once, so that the dead are soon known for
  // dead.
  if (const TableEntry* entry = table_.find(rpc.expected); entry != nullptr && rpc.purpose != Purpose::ping) {
    ping(now, entry->contact);
  }
}

// ---- receiving

void Node::on_datagram(TimePoint now, const Endpoint& from, ByteView payload) {
  counters_.datagrams_in.add();
  counters_.bytes_in.add(payload.size());
  auto message = decode(payload, network_);
  if (!message) {
    counters_.undecodable[static_cast<std::size_t>(message.error())].add();
    return;
  }
  if (message->header.sender == self_) {
    counters_.own.add();
    return;
  }
  if (!is_request(message->type())) {
    on_reply(now, from, *message);
  } else if (left_) {
    // Whoever still asks shall find nobody, as we told our contacts.
    counters_.after_leave.add();
  } else if (from.port == 0 || !rate_limit_.allow(now, from)) {
    counters_.rate_limited.add();
  } else {
    on_request(now, from, payload.size(), *message);
  }
  prune_timers();
}

void Node::on_reply(TimePoint now, const Endpoint& from, Message& message) {
  const auto found = rpcs_.find(message.header.transaction);
  if (found == rpcs_.end() || found->second.to != from || found->second.reply_type != message.type()) {
    counters_.unexpected.add();
    return;
  }
  counters_.rpcs_answered.add();
  const Rpc rpc = std::move(found->second);
  rpcs_.erase(found);
  const Header& h = message.header;
  const Contact contact{h.sender, from, h.http_port, h.dns_port, h.services};
  note_contact(now, contact, rpc);
  if (!rpc.expected.is_zero() && rpc.expected != h.sender) {
    // Somebody else lives there now.
    if (const TableEntry* entry = table_.find(rpc.expected); entry != nullptr && entry->contact.rpc == from) {
      const Contact gone = entry->contact;
      table_.remove(rpc.expected);
      contact_dropped(now, gone);
    }
    rpc_failed(now, rpc);
    return;
  }
  fulfil(now, rpc, message, contact);
}

void Node::note_contact(TimePoint now, const Contact& contact, const Rpc& rpc) {
  const auto admission = table_.answered(now, contact);
  // Karn's algorithm: an answer to a request that was sent twice measures nothing.
  if (TableEntry* entry = table_.find(contact.id);
      entry != nullptr && entry->contact.rpc == contact.rpc && rpc.attempts == 1) {
    entry->rtt.sample(now, now - rpc.sent_at);
  }
  if (admission == RoutingTable::Admission::added) {
    counters_.contacts_added.add();
    neighbourhood_changed(now, contact);
  }
}

void Node::fulfil(TimePoint now, Rpc rpc, Message& message, const Contact& contact) {
  const auto note_token = [&](std::uint64_t token) {
    if (TableEntry* entry = table_.find(contact.id)) entry->token = token;
  };
  if (auto* pong = std::get_if<Pong>(&message.body)) {
    note_token(pong->token);
    vote(contact.id, pong->observed);
    pinging_.erase(rpc.expected);
    if (rpc.unverified) --unverified_pings_;
  } else if (auto* nodes = std::get_if<Nodes>(&message.body)) {
    note_token(nodes->token);
    vote(contact.id, nodes->observed);
    if (rpc.purpose == Purpose::seed) {
      on_seed_answered(now, contact, nodes->contacts);
    } else {
      on_nodes(now, rpc, *nodes);
    }
  } else if (auto* announced = std::get_if<AnnounceReply>(&message.body)) {
    note_token(announced->token);
    on_announced(now, rpc, *announced);
  } else if (auto* stored = std::get_if<Stored>(&message.body)) {
    note_token(stored->token);
    on_stored(now, rpc, *stored);
  }
}

void Node::note_requester(TimePoint now, const Contact& contact) {
  const TableEntry* entry = table_.find(contact.id);
  if (entry != nullptr) {
    // It lives; if we doubted that, or it moved, let it answer us.
    if (entry->is_suspect() || entry->contact.rpc != contact.rpc) ping(now, contact);
    return;
  }
  switch (table_.admission(contact)) {
    case RoutingTable::Admission::added:
      if (unverified_pings_ < options_.unverified_pings_max && !pinging_.contains(contact.id)) {
        ping(now, contact, true);
      }
      break;
    case RoutingTable::Admission::bucket_full:
      table_.remember(contact);
      break;
    default:
      break;
  }
}

void Node::vote(const NodeId& voter, const Endpoint& observed) {
  std::erase_if(votes_, [&](const Vote& v) { return v.voter == voter; });
  if (votes_.size() >= kVotesMax) votes_.pop_front();
  votes_.push_back({voter, observed});
}

std::optional<Endpoint> Node::observed() const {
  std::map<Endpoint, std::size_t> counts;
  for (const Vote& v : votes_) {
    if (++counts[v.observed] * 2 > votes_.size()) {
      // May still be overtaken by nobody: more than half of all is a majority as soon as it is reached.
      return v.observed;
    }
  }
  return std::nullopt;
}

std::vector<Neighbour> Node::nodes(TimePoint now, const NodesQuery& query) const {
  std::vector<Neighbour> out;
  if (query.level != 0) return out;  // no cluster is shared beyond the global one
  for (const TableEntry& entry : table_.entries()) {
    if ((entry.contact.services & query.services) != query.services) continue;
    if (entry.is_suspect() || (query.heard_within && now - entry.heard_at > *query.heard_within)) continue;
    out.push_back({entry.contact, entry.rtt.least(), entry.heard_at, 0});
  }
  const std::size_t kept = std::min(query.count, out.size());
  const auto middle = out.begin() + static_cast<std::ptrdiff_t>(kept);
  if (query.target) {
    std::partial_sort(out.begin(), middle, out.end(), [&](const Neighbour& a, const Neighbour& b) {
      return distance(a.contact.id, *query.target) < distance(b.contact.id, *query.target);
    });
  } else {
    std::partial_sort(out.begin(), middle, out.end(), [](const Neighbour& a, const Neighbour& b) {
      return a.rtt.value_or(Duration::max()) < b.rtt.value_or(Duration::max());
    });
  }
  out.resize(kept);
  return out;
}

}  // namespace reef::dsht
