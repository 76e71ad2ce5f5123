#include "dsht/node.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kVotesMax = 16;
constexpr Duration kTimeoutEstimateAge = std::chrono::seconds(1);
// Who has not asked for so long counts no more as somebody who knows us: as long as a pointer lives that we
// may have published for him.
constexpr Duration kForgottenAfter = std::chrono::hours(1);
constexpr Duration kPatienceSlack = std::chrono::milliseconds(10);

MessageType reply_to(MessageType request) {
  switch (request) {
    case MessageType::ping:
      return MessageType::pong;
    case MessageType::find:
    case MessageType::sample:
      return MessageType::nodes;
    case MessageType::announce:
      return MessageType::announced;
    default:
      return MessageType::stored;
  }
}

// A cluster may have a fifth of its members beyond the threshold; nobody is this many times as far away.
constexpr int kFarFactor = 2;
// How much the last request says about those that will be asked next.
constexpr double kSilenceWeight = 1.0 / 16;

SipKey derived(const SipKey& secret, std::string_view use) {
  const std::uint64_t low = siphash(secret, as_bytes(use));
  SipKey out = secret;
  ByteWriter writer(out);
  writer.u64(low);
  writer.u64(siphash(secret, writer.written()));
  return out;
}

LoadMeterOptions gets_options(const NodeOptions& options) {
  LoadMeterOptions out = options.load;
  out.window = std::chrono::minutes(1);
  out.per_window = options.hot_gets;
  return out;
}

}  // namespace

Node::Node(const NodeOptions& options, const Credentials& credentials, NetworkId network,
           const SipKey& secret, Random random, TimePoint now, std::uint64_t first_sequence)
    : options_(options),
      credentials_(credentials),
      self_(credentials.id_of(credentials.public_key())),
      network_(network),
      secret_(derived(secret, "transactions")),
      services_(options.services),
      random_(random),
      tokens_(derived(secret, "tokens")),
      rate_limit_(options.rate_limit, derived(secret, "rates")),
      table_(self_, options.table),
      storage_{Storage(options.storage, derived(secret, "storage")),
               Storage(options.storage, derived(secret, "storage")),
               Storage(options.storage, derived(secret, "storage"))},
      puts_{LoadMeter(options.load, derived(secret, "puts")),
            LoadMeter(options.load, derived(secret, "puts")),
            LoadMeter(options.load, derived(secret, "puts"))},
      gets_(gets_options(options), derived(secret, "gets")),
      clusters_(options.clusters, self_, Random(random_()), now),
      first_sequence_(first_sequence),
      started_at_(now),
      signatures_(options.signatures_per_second),
      signatures_at_(now),
      join_backoff_(options.join_retry_min),
      tick_at_(now + random_.between(Duration::zero(), options.tick)),
      pinging_(16, KeyedIdHash{derived(secret, "pings")}),
      first_timeout_(options.first_timeout_max),
      first_patience_(options.first_timeout_max),
      replicating_(16, KeyedIdHash{derived(secret, "replication")}) {}

void Node::take_actions(std::vector<Action>& out) {
  out.clear();
  out.swap(actions_);
}

bool Node::is_alone(TimePoint now) const {
  return table_.size() == 0 && (!asked_at_ || now - *asked_at_ >= kForgottenAfter);
}

// ---- time

TimePoint Node::next_deadline() const {
  TimePoint next = std::min({tick_at_, join_at_, self_refresh_at_, leave_by_, hints_at_});
  if (options_.levels > 1 && !leaving_) {
    next = std::min({next, clusters_.next_deadline(), level_refresh_[1].at, level_refresh_[2].at});
  }
  if (!timers_.empty()) next = std::min(next, timers_.top().at);
  if (!replications_.empty()) next = std::min(next, replications_.front().due);
  for (const auto& [id, search] : searches_) next = std::min(next, search.due);
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
  if (options_.levels > 1 && !leaving_) {
    if (now >= clusters_.next_deadline()) run_clusters(now);
    for (Level level = 1; level < options_.levels; ++level) {
      if (now >= level_refresh_[level].at) refresh_level(now, level);
    }
  }
  if (now >= hints_at_) refresh_hints(now);
  if (!replications_.empty() && now >= replications_.front().due) replicate_some(now);
  if (now >= leave_by_) end_leaving();
  end_overdue_searches(now);
  prune_timers();
}

// Most that end have others before them: only when it was the next one there is something to look for.
void Node::note_ended(bool is_walk, std::uint64_t id) {
  if (timers_.empty()) return;
  const Timer& next = timers_.top();
  if (next.id == id && next.is_walk == is_walk) is_next_timer_ended_ = true;
}

void Node::prune_timers() {
  is_next_timer_ended_ = false;
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
  header.services = services_;
  header.level = level;
  header.clusters = described_;
  return header;
}

void Node::send(const Endpoint& to, Bytes data) {
  counters_.datagrams_out.add();
  counters_.bytes_out.add(data.size());
  actions_.emplace_back(SendDatagram{to, std::move(data)});
}

std::optional<Duration> Node::rtt_quantile(double share) const {
  std::vector<Duration> rtts;
  rtts.reserve(table_.size());
  for (const TableEntry& entry : table_.entries()) {
    if (entry.stands_at(0) && entry.rtt.smoothed()) rtts.push_back(*entry.rtt.smoothed());
  }
  if (rtts.empty()) return std::nullopt;
  const auto at = rtts.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(rtts.size() - 1) * share);
  std::nth_element(rtts.begin(), at, rtts.end());
  return *at;
}

Duration Node::timeout_for(TimePoint now, const TableEntry* entry) {
  if (entry != nullptr) {
    if (const auto timeout = entry->rtt.timeout()) return *timeout;
  }
  // A stranger is expected to be about as far away as the others are.
  if (timeout_estimated_at_ == TimePoint::min() || now - timeout_estimated_at_ >= kTimeoutEstimateAge) {
    timeout_estimated_at_ = now;
    if (const auto rtt = rtt_quantile(0.9)) {
      first_patience_ = rtt_quantile(0.75).value_or(*rtt) + kPatienceSlack;
      first_timeout_ = std::clamp(*rtt * 3 / 2 + std::chrono::milliseconds(50), RttEstimator::kTimeoutMin,
                                  std::max(RttEstimator::kTimeoutMin, options_.first_timeout_max));
    }
  }
  return first_timeout_;
}

bool Node::send_rpc(TimePoint now, Rpc rpc, Body body) {
  if (rpcs_.size() >= options_.rpcs_max) return false;
  const std::uint64_t transaction = next_transaction();
  const TableEntry* entry = table_.find(rpc.expected);
  if (entry != nullptr && entry->contact.rpc != rpc.to) entry = nullptr;
  Message message{own_header(transaction, rpc.level), std::move(body), {}};
  message.header.prove = is_proof_wanted(rpc, entry);
  rpc.reply_type = reply_to(message.type());
  rpc.request = encode(message);
  rpc.sent_at = now;
  rpc.timeout = timeout_for(now, entry);
  rpc.due = now + rpc.timeout;
  // A walk does not wait for one who is later than usual, though the answer, if it comes, still counts.
  if (rpc.walk != 0) {
    const auto usual = entry == nullptr ? std::nullopt : entry->rtt.patience();
    rpc.due = now + std::min(rpc.timeout, usual.value_or(first_patience_));
  } else {
    rpc.overdue = true;
  }
  timers_.push({rpc.due, false, transaction});
  counters_.rpcs_sent.add();
  send(rpc.to, rpc.request);
  rpcs_.emplace(transaction, std::move(rpc));
  return true;
}

bool Node::send_again_with_token(TimePoint now, const Rpc& rpc, std::uint64_t token) {
  auto request = decode(rpc.request, network_);
  if (!request) return false;
  std::visit(
      [&](auto& body) {
        if constexpr (requires { body.token; }) body.token = token;
      },
      request->body);
  Rpc again = rpc;
  again.attempts = 1;
  again.overdue = false;
  again.token_retried = true;
  return send_rpc(now, std::move(again), std::move(request->body));
}

// First it is overdue, then it has timed out; between attempts the time-out grows.
void Node::rpc_overdue(TimePoint now, std::uint64_t transaction) {
  Rpc& rpc = rpcs_.at(transaction);
  rpc.overdue = true;
  rpc.due = std::max(now, rpc.sent_at + rpc.timeout);
  timers_.push({rpc.due, false, transaction});
  const auto walk = walks_.find(rpc.walk);
  if (walk == walks_.end() || walk->second->level != rpc.level) return;
  Candidate* candidate = walk->second->list.find(rpc.expected);
  if (candidate == nullptr || candidate->state != Candidate::State::asked) return;
  candidate->state = Candidate::State::slow;
  advance(now, rpc.walk);
}

// Of strangers nothing is learnt: liars name whom they like.
void Node::note_silence(double silent) { silent_share_ += (silent - silent_share_) * kSilenceWeight; }

void Node::rpc_timed_out(TimePoint now, std::uint64_t transaction) {
  {
    Rpc& rpc = rpcs_.at(transaction);
    if (!rpc.overdue) return rpc_overdue(now, transaction);
    const TableEntry* entry = table_.find(rpc.expected);
    if (entry != nullptr && entry->contact.rpc == rpc.to && !rpc.is_check) {
      if (rpc.attempts == 1) note_silence(1);
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
      return;
    }
  }
  auto node = rpcs_.extract(transaction);
  rpc_failed(now, node.mapped());
}

void Node::rpc_failed(TimePoint now, const Rpc& rpc) {
  counters_.rpcs_failed.add();
  if (options_.levels > 1 && !rpc.expected.is_zero() && !rpc.is_check) clusters_.lost(rpc.expected);
  switch (rpc.purpose) {
    case Purpose::ping:
      pinging_.erase(rpc.expected);
      if (rpc.unverified) --unverified_pings_;
      settle_named(rpc.expected, [](Named& named) { named.state = Named::State::failed; });
      break;
    case Purpose::seed:
      break;
    case Purpose::sample:
      if (rpc.search != 0) search_sampled(now, rpc.search, {});
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
    asked_at_ = now;
    on_request(now, from, payload.size(), *message);
  }
  if (is_next_timer_ended_) prune_timers();
}

void Node::on_reply(TimePoint now, const Endpoint& from, Message& message) {
  const auto found = rpcs_.find(message.header.transaction);
  if (found == rpcs_.end() || found->second.to != from || found->second.reply_type != message.type()) {
    counters_.unexpected.add();
    return;
  }
  counters_.rpcs_answered.add();
  note_ended(false, found->first);
  auto node = rpcs_.extract(found);
  Rpc& rpc = node.mapped();
  const Header& h = message.header;
  const Contact contact{h.sender, from, h.http_port, h.dns_port, h.services};
  note_contact(now, contact, rpc, message);
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

// Only who has proven its id comes into the table.
void Node::note_contact(TimePoint now, const Contact& contact, const Rpc& rpc, const Message& message) {
  const auto& clusters = message.header.clusters;
  TableEntry* entry = table_.find(contact.id);
  // Karn's algorithm: an answer to a request that was sent twice measures nothing.
  std::optional<Duration> rtt;
  if (rpc.attempts == 1) rtt = now - rpc.sent_at;
  if (entry != nullptr && entry->contact.rpc == contact.rpc) {
    if (rtt) {
      entry->rtt.sample(now, *rtt);
      note_silence(0);
    }
    rtt = entry->rtt.least();
  }
  const LevelMask shared = shared_levels(clusters, rtt);
  const bool proven =
      (entry != nullptr && entry->proven && entry->contact.rpc == contact.rpc) || is_proven(message);
  if (proven || table_.admission(contact, shared) == RoutingTable::Admission::bucket_full) {
    const auto admission = table_.answered(now, contact, shared, clusters);
    entry = table_.find(contact.id);
    if (entry != nullptr) entry->proven = proven;
    if (entry != nullptr && rtt && !entry->rtt.least()) entry->rtt.sample(now, *rtt);
    if (admission == RoutingTable::Admission::added) {
      counters_.contacts_added.add();
      neighbourhood_changed(now, contact);
    }
  }
  if (options_.levels > 1) clusters_.heard(now, contact, clusters, rtt);
}

// Where somebody who says that it is in these clusters has a place. Whoever is far away has none near by,
// whatever it says.
LevelMask Node::shared_levels(const std::array<ClusterDescription, 2>& clusters,
                              std::optional<Duration> rtt) const {
  if (options_.levels == 1) return mask_of(0);
  LevelMask shared = clusters_.shared_with(clusters);
  for (Level level = 1; level < options_.levels; ++level) {
    if (rtt && *rtt > kFarFactor * options_.clusters.threshold[level]) {
      shared = static_cast<LevelMask>(shared & ~mask_of(level));
    }
  }
  return shared;
}

void Node::fulfil(TimePoint now, Rpc& rpc, Message& message, const Contact& contact) {
  const auto note_token = [&](std::uint64_t token) {
    if (TableEntry* entry = table_.find(contact.id)) {
      entry->token = token;
      entry->token_at = now;
    }
  };
  if (auto* pong = std::get_if<Pong>(&message.body)) {
    note_token(pong->token);
    vote(contact.id, pong->observed);
    pinging_.erase(rpc.expected);
    if (rpc.unverified) --unverified_pings_;
    settle_named(contact.id, [&](Named& named) {
      // An answer to a ping that was sent twice measured nothing.
      const auto rtt = rpc.attempts == 1 ? std::optional(now - rpc.sent_at) : std::nullopt;
      named = {contact, named.hint, Named::State::answered, rtt, now};
    });
  } else if (auto* nodes = std::get_if<Nodes>(&message.body)) {
    note_token(nodes->token);
    vote(contact.id, nodes->observed);
    if (rpc.purpose == Purpose::seed) {
      on_seed_answered(now, contact, nodes->contacts);
    } else if (rpc.purpose == Purpose::sample) {
      on_sampled(now, rpc, *nodes);
    } else {
      on_nodes(now, rpc, contact, *nodes);
    }
  } else if (auto* announced = std::get_if<AnnounceReply>(&message.body)) {
    note_token(announced->token);
    on_announced(now, rpc, *announced);
  } else if (auto* stored = std::get_if<Stored>(&message.body)) {
    note_token(stored->token);
    on_stored(now, rpc, *stored);
  }
}

void Node::note_requester(TimePoint now, const Contact& contact, const Header& header) {
  const LevelMask shared = shared_levels(header.clusters, std::nullopt);
  if (options_.levels > 1) clusters_.heard(now, contact, header.clusters, std::nullopt);
  TableEntry* entry = table_.find(contact.id);
  if (entry != nullptr) {
    // It lives; if we doubted that, or it moved, or changed its clusters, let it answer us.
    const bool is_changed = entry->is_suspect() || entry->contact.rpc != contact.rpc ||
                            entry->clusters[0].id != header.clusters[0].id ||
                            entry->clusters[1].id != header.clusters[1].id;
    if (is_changed) {
      ping(now, contact);
    } else {
      entry->asked_us_at = now;  // no need to ask it soon
    }
    return;
  }
  switch (table_.admission(contact, shared)) {
    case RoutingTable::Admission::added:
      if (unverified_pings_ < options_.unverified_pings_max) ping(now, contact, PingKind::unverified);
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
  if (votes_.size() >= kVotesMax) votes_.erase(votes_.begin());
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
  if (query.level >= options_.levels) return out;
  for (const TableEntry& entry : table_.entries()) {
    if (query.level > 0 && !entry.stands_at(query.level)) continue;
    if ((entry.contact.services & query.services) != query.services) continue;
    if (entry.is_suspect() || (query.heard_within && now - entry.heard_at > *query.heard_within)) continue;
    out.push_back({entry.contact, entry.rtt.least(), entry.heard_at, entry.innermost()});
  }
  const std::size_t kept = std::min(query.count, out.size());
  const auto middle = out.begin() + static_cast<std::ptrdiff_t>(kept);
  if (query.target) {
    std::partial_sort(out.begin(), middle, out.end(), [&](const Neighbour& a, const Neighbour& b) {
      return distance(a.contact.id, *query.target) < distance(b.contact.id, *query.target);
    });
  } else {
    const auto rank = [&](const Neighbour& n) {
      const bool is_far = !query.near || !same_network(n.contact.rpc.address, *query.near);
      return std::pair(is_far, n.rtt.value_or(Duration::max()));
    };
    std::partial_sort(out.begin(), middle, out.end(),
                      [&](const Neighbour& a, const Neighbour& b) { return rank(a) < rank(b); });
  }
  out.resize(kept);
  return out;
}

LevelVerdict Node::level_of(const IpAddress& address) const {
  LevelVerdict best;
  for (const TableEntry& entry : table_.entries()) {
    const auto rtt = entry.rtt.least();
    if (!rtt || !same_network(entry.contact.rpc.address, address)) continue;
    const auto source = entry.contact.rpc.address == address ? LevelVerdict::Source::measured
                                                             : LevelVerdict::Source::same_prefix;
    // What was measured itself says more than a neighbour of it.
    if (source < best.source || (source == best.source && best.rtt && *best.rtt <= *rtt)) continue;
    best = {level_within(*rtt), source, rtt};
  }
  return best;
}

Level Node::level_within(Duration rtt) const {
  Level level = 0;
  while (level + 1 < options_.levels && rtt < options_.clusters.threshold[level + 1]) ++level;
  return level;
}

}  // namespace reef::dsht
