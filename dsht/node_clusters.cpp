// Carries out what Clusters decides, keeps the tables of levels 1 and 2 complete, and puts us under the hints
// of where we are.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

// After so long in a network or cluster a node knows those around it.
constexpr Duration kSettled = std::chrono::minutes(2);
constexpr Duration kDescribeEvery = std::chrono::seconds(30);
constexpr Duration kLevelRefreshMin = std::chrono::seconds(2);
constexpr Duration kLevelRefreshMax = std::chrono::minutes(10);
constexpr std::size_t kGrowthNoted = 8;  // more members by an eighth of those known
constexpr Duration kHintsFirst = std::chrono::seconds(5);

}  // namespace

// ---- clusters

void Node::describe_clusters(TimePoint now) {
  describe_at_ = now + kDescribeEvery;
  for (Level level = 0; level < options_.levels; ++level) {
    // While a table is being filled it says nothing yet about how many there are.
    const bool is_settled =
        level == 0 ? joined_ && now - started_at_ > kSettled : now - clusters_.joined_at(level) > kSettled;
    const double nodes = table_.estimated_nodes(level);
    estimated_nodes_[level] = is_settled ? nodes : 0;
    if (level > 0) clusters_.set_size(level, nodes);
  }
  if (options_.levels == 1) return;
  described_ = clusters_.describe(now);
}

void Node::run_clusters(TimePoint now) {
  describe_clusters(now);
  cluster_actions_.clear();
  clusters_.on_deadline(now, cluster_actions_);
  for (const ClusterAction& action : cluster_actions_) {
    if (const auto* ask = std::get_if<AskMembers>(&action)) {
      (void)send_sample(now, ask->via, ask->level, ask->cluster);  // else the next decision asks again
    } else if (const auto* measure = std::get_if<MeasureRtt>(&action)) {
      ping(now, measure->contact);
    } else if (const auto* change = std::get_if<ClusterChanged>(&action)) {
      cluster_changed(now, *change);
    }
  }
  described_ = clusters_.describe(now);
}

bool Node::send_sample(TimePoint now, const Contact& via, Level level, const ClusterId& cluster,
                       WalkId search) {
  Sample sample;
  sample.cluster = cluster;
  sample.padding = padding_for(sample);
  Rpc rpc;
  rpc.to = via.rpc;
  rpc.expected = via.id;
  rpc.purpose = Purpose::sample;
  rpc.level = level;
  rpc.cluster = cluster;
  rpc.search = search;
  rpc.attempts_max = options_.find_attempts;
  return send_rpc(now, std::move(rpc), sample);
}

void Node::on_sampled(TimePoint now, const Rpc& rpc, const Nodes& nodes) {
  std::vector<Contact> followed;
  for (const Contact& contact : nodes.contacts) {
    if (is_followed(contact, rpc.to) && contact.id != self_) followed.push_back(contact);
  }
  for (const Contact& contact : followed) clusters_.named(now, rpc.level, rpc.cluster, contact);
  if (rpc.search != 0) search_sampled(now, rpc.search, followed);
}

void Node::cluster_changed(TimePoint now, const ClusterChanged& change) {
  counters_.cluster_changes[change.level].add();
  table_.rebuild(change.level, change.to);
  described_ = clusters_.describe(now);
  // Those whom we know there shall know us, and answer us as one of them.
  for (const Contact& contact : clusters_.members(change.level)) ping(now, contact);
  level_refresh_[change.level].known = 0;
  hurry_refresh(now, change.level);
  actions_.emplace_back(change);
}

void Node::hurry_refresh(TimePoint now, Level level) {
  level_refresh_[level].at = now + kLevelRefreshMin;
  level_refresh_[level].period = kLevelRefreshMin;
}

// Looks up ids at random among the members until nobody new is found, then ever more rarely.
void Node::refresh_level(TimePoint now, Level level) {
  LevelRefresh& refresh = level_refresh_[level];
  const std::size_t known = table_.size(level);
  // In a crowd one more is no news: who comes makes himself known.
  if (known > refresh.known + refresh.known / kGrowthNoted) {
    refresh.period = std::max<Duration>(refresh.period / 2, kLevelRefreshMin);
  } else {
    refresh.period = std::min<Duration>(refresh.period * 3 / 2, kLevelRefreshMax);
  }
  refresh.known = known;
  refresh.at = now + refresh.period + random_.between(Duration::zero(), refresh.period / 4);
  if (known == 0) return;
  const Key target = refresh.looked_at_self ? random_.id<Key>() : self_.as<Key>();
  refresh.looked_at_self = !refresh.looked_at_self;
  if (Walk* walk = start_walk(now, WalkKind::refresh, target, options_.walk_max, mask_of(level)))
    advance(now, walk->id);
}

ClusterStatus Node::cluster(TimePoint now, Level level) const {
  ClusterStatus out;
  if (level == 0 || level >= options_.levels) return out;
  out.id = clusters_.id(level);
  out.estimated_nodes = table_.estimated_nodes(level);
  out.age = std::chrono::seconds(clusters_.describe(now)[level - 1].age_seconds);
  out.joined_at = clusters_.joined_at(level);
  out.contacts = table_.size(level);
  out.share_within = clusters_.share_within(level);
  out.switches = clusters_.switches(level);
  return out;
}

// ---- hints

void Node::set_hints(TimePoint now, std::vector<Key> hints) {
  if (hints.size() > kHintsMax) hints.resize(kHintsMax);
  if (hints == hints_) return;
  hints_ = std::move(hints);
  hints_at_ = hints_.empty() ? TimePoint::max() : now;
  hints_period_ = kHintsFirst;
  hints_put_at_ = now;
}

// Reads who stands there already, then stands there ourselves. Soon again at first: those who came with us
// were not there yet.
void Node::refresh_hints(TimePoint now) {
  if (!joined_ || table_.size() == 0 || leaving_) {
    hints_at_ = leaving_ ? TimePoint::max() : now + options_.tick;
    return;
  }
  const Duration half = options_.hint_ttl / 2;
  hints_at_ = now + hints_period_ + random_.between(Duration::zero(), hints_period_ / 4);
  hints_period_ = std::min(hints_period_ * 4, half);
  const auto own = observed();
  const bool puts = own && now >= hints_put_at_;
  if (puts) hints_put_at_ = now + half;
  for (const Key& hint : hints_) {
    if (Walk* walk = start_walk(now, WalkKind::hint, hint, options_.walk_max, mask_of(0)))
      advance(now, walk->id);
    // The record says who we are; where we are, says its data.
    if (puts)
      (void)start_writing(now, WalkKind::put, hint,
                          make_record(now, hint, encode_endpoint(*own), options_.hint_ttl, false),
                          mask_of(0));
  }
}

std::vector<Contact> Node::contacts_under_hint(const std::vector<WireValue>& values) {
  std::vector<Contact> contacts;
  // Strangers write what stands here: they shall not make us send into our own private networks.
  const auto own = observed();
  for (const WireValue& value : values) {
    const auto endpoint = decode_endpoint(value.record.data);
    if (!endpoint || endpoint->port == 0) continue;
    const Contact contact{credentials_.id_of(value.record.publisher), *endpoint, 0, 0, 0};
    if (contact.id != self_ && is_followed(contact, own.value_or(contact.rpc))) contacts.push_back(contact);
  }
  return contacts;
}

void Node::on_hint(TimePoint now, const std::vector<WireValue>& values) {
  for (const Contact& contact : contacts_under_hint(values)) {
    counters_.hinted.add();
    ping(now, contact, PingKind::unverified);
  }
}

}  // namespace reef::dsht
