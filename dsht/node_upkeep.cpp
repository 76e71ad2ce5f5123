// What a node does unasked: joining, keeping its table true, keeping values at the nodes closest to their
// keys.
#include <algorithm>
#include <span>
#include <utility>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kSeedsAtOnce = 8;
constexpr std::size_t kRememberedMax = 64;
constexpr std::size_t kPingsPerTick = 24;
constexpr std::size_t kFarTable = 160;  // larger ones cost no more pings
// So many of the contacts asked lately silent: many have gone at once.
constexpr double kDoubtfulShare = 0.1;
constexpr Duration kDoubtAgain = std::chrono::seconds(10);
// With less than this share of the contacts that it had in the last half day (e-folding time, in ticks of 5
// s) a node looks for those whom it lost, every half minute or so.
constexpr double kDepleted = 0.75;
constexpr double kForgetsPerTick = 1 - 1.0 / 8640;
constexpr std::uint64_t kTicksPerSearch = 6;
constexpr std::size_t kExpiredPerTick = 4096;

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
    if (Walk* walk = start_walk(now, WalkKind::join, self_.as<Key>(), options_.walk_max, mask_of(0))) {
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
  find.key = find.toward = self_.as<Key>();
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
    walk = start_walk(now, is_join ? WalkKind::join : WalkKind::refresh, self_.as<Key>(), options_.walk_max,
                      mask_of(0));
    if (walk == nullptr) return;
    if (is_join) join_walk_ = walk->id;
  }
  walk->list.add(seed, 1, NodeId{});
  if (Candidate* candidate = walk->list.find(seed.id)) candidate->state = Candidate::State::answered;
  // A way back to where we knew people everywhere, and members of our clusters.
  if (is_depleted() && refresh_queue_.empty()) {
    refresh_all(now);
    for (Level level = 1; level < options_.levels; ++level) hurry_refresh(now, level);
  }
  add_named(*walk, contacts, seed.id, seed.rpc, 2);
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
  refresh_all(now);
  if (!hints_.empty()) hints_at_ = now;
}

// The far buckets, which a walk to ourselves hardly touches; the nearest first, since they matter to our
// keys.
void Node::refresh_all(TimePoint now) {
  refresh_queue_.clear();
  for (int bucket = table_.deepest_bucket(0); bucket >= 0; --bucket) refresh_queue_.push_back(bucket);
  refresh_next(now);
}

void Node::refresh_next(TimePoint now) {
  if (refresh_walk_ != 0 || refresh_queue_.empty() || leaving_) return;
  const int bucket = refresh_queue_.front();
  refresh_queue_.pop_front();
  note_refreshed(now, bucket);
  // A random id of that bucket: ours up to the bit that differs.
  Key target = random_.id<Key>();
  for (int bit = 0; bit < bucket; ++bit) target.set_bit(bit, self_.bit(bit));
  target.set_bit(bucket, !self_.bit(bucket));
  if (Walk* walk = start_walk(now, WalkKind::refresh, target, options_.walk_max, mask_of(0))) {
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
  if (Walk* walk = start_walk(now, WalkKind::refresh, self_.as<Key>(), options_.walk_max, mask_of(0)))
    advance(now, walk->id);
  look_for_the_lost(now);
}

// We knew many more not long ago.
bool Node::is_depleted() const { return static_cast<double>(table_.size(0)) < kDepleted * most_contacts_; }

// Somebody whom we lost, or a seed: if the network was cut in two, this is what joins it again.
void Node::look_for_the_lost(TimePoint now) {
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
  for (Storage& storage : storage_) storage.expire(now, kExpiredPerTick);
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

  if (now >= describe_at_) describe_clusters(now);
  most_contacts_ = std::max(static_cast<double>(table_.size(0)), most_contacts_ * kForgetsPerTick);
  if (is_depleted() && random_.below(kTicksPerSearch) == 0) look_for_the_lost(now);
  ping_due(now);

  bucket_refreshed_at_.resize(static_cast<std::size_t>(table_.deepest_bucket(0) + 1), now);
  for (int bucket = 0; bucket < static_cast<int>(bucket_refreshed_at_.size()); ++bucket) {
    if (now - bucket_refreshed_at_[static_cast<std::size_t>(bucket)] < options_.bucket_refresh) continue;
    if (std::find(refresh_queue_.begin(), refresh_queue_.end(), bucket) == refresh_queue_.end()) {
      refresh_queue_.push_back(bucket);
    }
  }
  refresh_next(now);
}

void Node::note_refreshed(TimePoint now, int bucket) {
  const auto index = static_cast<std::size_t>(bucket);
  if (index >= bucket_refreshed_at_.size()) bucket_refreshed_at_.resize(index + 1, now);
  bucket_refreshed_at_[index] = now;
}

// Those near us, by id and by RTT, are asked often, others rarely, suspects at once.
void Node::ping_due(TimePoint now) {
  const std::size_t k = options_.table.bucket_size[0];
  const std::span<const TableEntry> entries = std::as_const(table_).entries();
  const auto index_of = [&](const TableEntry* entry) {
    return static_cast<std::size_t>(entry - entries.data());
  };
  is_near_.assign(entries.size(), false);
  table_.closest(0, self_.as<Key>(), k, true, closest_);
  for (const TableEntry* entry : closest_) is_near_[index_of(entry)] = true;
  by_rtt_.clear();
  for (const TableEntry& entry : entries) {
    if (!entry.is_suspect()) by_rtt_.emplace_back(entry.rtt.least().value_or(Duration::max()), &entry);
  }
  const auto middle = by_rtt_.begin() + static_cast<std::ptrdiff_t>(std::min(k, by_rtt_.size()));
  std::partial_sort(by_rtt_.begin(), middle, by_rtt_.end());
  for (auto at = by_rtt_.begin(); at != middle; ++at) is_near_[index_of(at->second)] = true;
  // Where many are gone at once, everybody is in doubt until he is heard.
  if (silent_share_ > kDoubtfulShare) doubted_at_ = now;
  const Duration far_period =
      options_.far_ping * static_cast<std::int64_t>(std::max(table_.size(), kFarTable)) / kFarTable;
  std::vector<Contact> due;
  std::size_t near_due = 0;
  for (const TableEntry& entry : entries) {
    const bool is_near = is_near_[index_of(&entry)];
    const Duration period = entry.is_suspect() ? Duration::zero() : is_near ? options_.near_ping : far_period;
    // Near ones must have answered us lately; of others it is enough that they asked us. A tick early rather
    // than a tick late.
    const TimePoint last = is_near ? std::max(entry.heard_at, entry.asked_at)
                                   : std::max({entry.heard_at, entry.asked_at, entry.asked_us_at});
    const bool is_doubted = last < doubted_at_ && now - last >= kDoubtAgain;
    if (!is_doubted && now - last + options_.tick < period) continue;
    due.push_back(entry.contact);
    if (is_near) std::swap(due.back(), due[near_due++]);
  }
  for (std::size_t i = 0; i < std::min(due.size(), kPingsPerTick); ++i) {
    const std::size_t choices = i < near_due ? near_due : due.size();
    std::swap(due[i], due[i + random_.below(choices - i)]);
    ping(now, due[i]);
  }
}

void Node::ping(TimePoint now, const Contact& contact, PingKind kind) {
  const bool unverified = kind == PingKind::unverified;
  if (!pinging_.insert(contact.id).second) return;
  Rpc rpc;
  rpc.to = contact.rpc;
  rpc.expected = contact.id;
  rpc.purpose = Purpose::ping;
  rpc.attempts_max = options_.find_attempts;
  rpc.unverified = unverified;
  rpc.is_check = kind == PingKind::check;
  if (!send_rpc(now, std::move(rpc), Ping{})) {
    pinging_.erase(contact.id);
    return;
  }
  if (unverified) ++unverified_pings_;
  if (kind == PingKind::check) return;
  if (TableEntry* entry = table_.find(contact.id)) entry->asked_at = now;
}

void Node::contact_dropped(TimePoint now, const Contact& contact) {
  counters_.contacts_dropped.add();
  std::erase_if(remembered_, [&](const Contact& other) { return other.id == contact.id; });
  if (remembered_.size() >= kRememberedMax) remembered_.pop_front();
  remembered_.push_back(contact);
  if (const auto replacement = table_.take_replacement(contact.id)) ping(now, *replacement);
  neighbourhood_changed(now, contact);
}

}  // namespace reef::dsht
