#include "dsht/cluster_view.h"

#include <algorithm>
#include <cmath>

#include "dsht/tag_scan.h"

namespace reef::dsht {
namespace {

// No network has more nodes than this; a description that says so cannot outweigh all others.
constexpr std::uint8_t kLog2SizeMax = 32;
// So that times stay far from the ends of their type.
constexpr std::uint32_t kAgeMax = 1u << 29;
// Of a new description against the mean of those before.
constexpr float kDescriptionWeight = 0.25F;
// A candidate that nobody could measure in this time makes room for another one.
constexpr std::int32_t kUnmeasuredPatience = 60;
constexpr std::uint8_t kTriesMax = 3;

template <class A, class B>
std::uint64_t leading_distance(const Id<A>& a, const Id<B>& b) {
  return a.leading_word() ^ b.leading_word();
}

std::uint32_t microseconds(Duration rtt) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(rtt).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, ClusterView::kUnmeasured - 1));
}

}  // namespace

ClusterDescription ClusterView::Cluster::description(Seconds now) const {
  return {id, static_cast<std::uint8_t>(std::lround(log2_size)),
          static_cast<std::uint32_t>(std::max<Seconds>(0, now - founded))};
}

ClusterView::ClusterView(const ClusterViewLimits& limits, const NodeId& self, Random random)
    : limits_(limits), self_(self), random_(random) {
  limits_.candidates_max = std::clamp<std::size_t>(limits_.candidates_max, 1, kCandidatesMax);
  limits_.sample_size = std::clamp<std::size_t>(limits_.sample_size, 1, 200);
  // Our own samples always fit.
  limits_.members_max = std::max(limits_.members_max, 2 * limits_.sample_size + 1);
  for (std::size_t i = 0; i < 2; ++i) {
    threshold_us_[i] = microseconds(limits_.threshold[i + 1]);
    clusters_[i].resize(limits_.candidates_max + 1);
  }
}

std::size_t ClusterView::find_member(const NodeId& id) const {
  return find_tagged(tags_, id, [&](std::size_t index) { return members_[index].contact.id == id; });
}

ClusterView::Slot ClusterView::find(Level level, const ClusterId& id) const {
  if (id.is_zero()) return kNone;
  const auto& slots = clusters_[level - 1];
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].id == id) return static_cast<Slot>(i);
  }
  return kNone;
}

void ClusterView::note_description(Cluster& cluster, const ClusterDescription& said, Seconds now) const {
  const auto log2 = static_cast<float>(std::min(said.log2_size, kLog2SizeMax));
  cluster.log2_size += kDescriptionWeight * (log2 - cluster.log2_size);
  // Its age is told alike by all but for the seconds of the way; what differs much is a lie or a stray.
  if (&cluster != clusters_[0].data() && &cluster != clusters_[1].data()) {
    cluster.founded = now - static_cast<Seconds>(std::min(said.age_seconds, kAgeMax));
  }
}

bool ClusterView::heard(Seconds now, const Contact& contact,
                        const std::array<ClusterDescription, 2>& clusters, std::optional<Duration> rtt) {
  if (contact.id == self_) return false;
  bool news = false;
  const std::size_t index = find_member(contact.id);
  if (index == kNotFound) {
    Member fresh;
    fresh.contact = contact;
    fresh.heard = now;
    if (rtt) fresh.rtt_us = microseconds(*rtt);
    for (Level level = 1; level < kLevels; ++level) {
      fresh.slot[level - 1] = place(now, level, clusters[level - 1], contact.id, fresh.rtt_us, news);
      fresh.said[level - 1] = fresh.slot[level - 1] != kNone;
    }
    if (!is_idle(fresh)) add_member(fresh);
    return news;
  }

  Member& known = members_[index];
  known.heard = now;
  if (!(known.contact == contact)) known.contact = contact;
  if (rtt) {
    news = known.rtt_us == kUnmeasured;
    known.rtt_us = microseconds(*rtt);
    known.tries = 0;
  }
  std::size_t at = index;
  for (Level level = 1; level < kLevels; ++level) {
    const ClusterDescription& said = clusters[level - 1];
    const Slot slot = members_[at].slot[level - 1];
    if (slot != kNone && clusters_[level - 1][slot].id == said.id) {
      members_[at].said[level - 1] = true;
      note_description(clusters_[level - 1][slot], said, now);
      continue;
    }
    set_slot(at, level, kNone);
    // To make room others may be dropped, and with them its place in the table changes; it is not among them.
    const Slot next = place(now, level, said, contact.id, members_[at].rtt_us, news);
    at = find_member(contact.id);
    set_slot(at, level, next);
    members_[at].said[level - 1] = next != kNone;
  }
  if (is_idle(members_[at])) remove_member(at);
  return news;
}

bool ClusterView::named(Seconds now, Level level, const ClusterId& cluster, const Contact& contact) {
  if (contact.id == self_ || cluster.is_zero() || level < 1 || level >= kLevels) return false;
  const Slot slot = find(level, cluster);
  if (slot == kNone) return false;
  const std::size_t index = find_member(contact.id);
  if (index != kNotFound) {
    // What it says itself counts for more.
    if (members_[index].slot[level - 1] != kNone || !make_room(level, slot, contact.id)) return false;
    set_slot(find_member(contact.id), level, slot);
    return true;
  }
  if (!make_room(level, slot, contact.id)) return false;
  Member fresh;
  fresh.contact = contact;
  fresh.heard = now;
  fresh.slot[level - 1] = slot;
  add_member(fresh);
  return true;
}

void ClusterView::lost(const NodeId& id) {
  if (const std::size_t index = find_member(id); index != kNotFound) remove_member(index);
}

// The slot for somebody who says this; kNone: it is of no use to us.
ClusterView::Slot ClusterView::place(Seconds now, Level level, const ClusterDescription& said,
                                     const NodeId& id, std::uint32_t rtt_us, bool& news) {
  if (said.id.is_zero()) return kNone;
  Slot slot = find(level, said.id);
  if (slot == kNone) {
    const bool near = rtt_us < threshold_us_[level - 1];
    // One member that is too far says little about a cluster that we know, but it is no way to a new one.
    if ((rtt_us != kUnmeasured && !near) || is_refused(level, said.id, now)) return kNone;
    slot = open_candidate(now, level, said, near);
    if (slot == kNone) return kNone;
    news = true;
  } else {
    note_description(clusters_[level - 1][slot], said, now);
  }
  if (!make_room(level, slot, id)) return kNone;
  news = news || slot != kOurs;
  return slot;
}

bool ClusterView::is_refused(Level level, const ClusterId& id, Seconds now) const {
  const std::uint64_t key = id.leading_word();
  return std::any_of(refused_[level - 1].begin(), refused_[level - 1].end(),
                     [&](const Refused& refused) { return refused.id == key && now < refused.until; });
}

ClusterView::Slot ClusterView::open_candidate(Seconds now, Level level, const ClusterDescription& said,
                                              bool near) {
  auto& slots = clusters_[level - 1];
  Slot free = kNone;
  for (std::size_t i = 1; i < slots.size() && free == kNone; ++i) {
    if (slots[i].id.is_zero()) free = static_cast<Slot>(i);
  }
  if (free == kNone) {
    // The least promising gives way: one of which nobody near is known, else the smallest.
    std::array<Tally, kCandidatesMax + 1> tallies{};
    count(level, tallies);
    double least = 1e9;
    for (std::size_t i = 1; i < slots.size(); ++i) {
      const bool is_near = tallies[i].within > 0;
      const bool is_new = tallies[i].measured == 0 && now - slots[i].noticed < kUnmeasuredPatience;
      if (is_new && !near) continue;
      const double promise = (is_near ? 100.0 : is_new ? 50.0 : 0.0) + slots[i].log2_size;
      if (promise < least) {
        least = promise;
        free = static_cast<Slot>(i);
      }
    }
    const double promise = (near ? 100.0 : 50.0) + std::min(said.log2_size, kLog2SizeMax);
    if (free == kNone || promise <= least) return kNone;
    drop_cluster(level, free);
  }
  Cluster& cluster = slots[free];
  cluster = {};
  cluster.id = said.id;
  cluster.log2_size = static_cast<float>(std::min(said.log2_size, kLog2SizeMax));
  cluster.founded = now - static_cast<Seconds>(std::min(said.age_seconds, kAgeMax));
  cluster.noticed = now;
  return free;
}

// The member closest to our cluster's id is the centre of a split and always finds room.
bool ClusterView::make_room(Level level, Slot slot, const NodeId& id) {
  Cluster& cluster = clusters_[level - 1][slot];
  const std::uint64_t away = leading_distance(id, cluster.id);
  if (cluster.members < limits_.sample_size) {
    cluster.closest = std::min(cluster.closest, away);
    return true;
  }
  if (slot != kOurs || away >= cluster.closest) return false;
  renew_sample(level, 1);
  if (cluster.members >= limits_.sample_size) return false;
  cluster.closest = away;
  return true;
}

void ClusterView::renew_sample(Level level, std::size_t members) {
  const Cluster& cluster = clusters_[level - 1][kOurs];
  for (; members > 0 && cluster.members > 1; --members) {
    std::uint64_t pick = random_.below(cluster.members);
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].slot[level - 1] != kOurs || pick-- > 0) continue;
      // Whoever is the centre stays.
      if (leading_distance(members_[i].contact.id, cluster.id) <= cluster.closest) break;
      set_slot(i, level, kNone);
      if (is_idle(members_[i])) remove_member(i);
      break;
    }
  }
}

void ClusterView::add_member(const Member& member) {
  if (members_.size() >= limits_.members_max) make_member_room();
  tags_.push_back(tag_of(member.contact.id));
  members_.push_back(member);
  for (std::size_t i = 0; i < 2; ++i) {
    if (member.slot[i] != kNone) ++clusters_[i][member.slot[i]].members;
  }
}

// Those in a cluster of ours stay; of the others the one not heard of for longest goes.
void ClusterView::make_member_room() {
  std::size_t oldest = 0;
  auto rank = [](const Member& m) {
    const bool ours = m.slot[0] == kOurs || m.slot[1] == kOurs;
    return std::pair(ours, m.heard);
  };
  for (std::size_t i = 1; i < members_.size(); ++i) {
    if (rank(members_[i]) < rank(members_[oldest])) oldest = i;
  }
  remove_member(oldest);
}

void ClusterView::set_slot(std::size_t member, Level level, Slot slot) {
  Slot& now = members_[member].slot[level - 1];
  if (now != kNone) --clusters_[level - 1][now].members;
  if (slot != kNone) ++clusters_[level - 1][slot].members;
  now = slot;
  members_[member].said[level - 1] = false;
}

void ClusterView::remove_member(std::size_t index) {
  for (Level level = 1; level < kLevels; ++level) set_slot(index, level, kNone);
  members_[index] = members_.back();
  members_.pop_back();
  tags_[index] = tags_.back();
  tags_.pop_back();
}

void ClusterView::drop_cluster(Level level, Slot slot) {
  for (std::size_t i = members_.size(); i-- > 0;) {
    if (members_[i].slot[level - 1] != slot) continue;
    set_slot(i, level, kNone);
    if (is_idle(members_[i])) remove_member(i);
  }
  clusters_[level - 1][slot] = {};
}

void ClusterView::tidy(Seconds now) {
  for (std::size_t i = members_.size(); i-- > 0;) {
    const Member& member = members_[i];
    const bool in_vain = member.rtt_us == kUnmeasured && member.tries >= kTriesMax;
    if (in_vain || now - member.heard > limits_.forget_after) remove_member(i);
  }
  for (Level level = 1; level < kLevels; ++level) {
    auto& slots = clusters_[level - 1];
    for (std::size_t i = 1; i < slots.size(); ++i) {
      if (!slots[i].id.is_zero() && slots[i].members == 0) slots[i] = {};
    }
    Cluster& ours = slots[kOurs];
    ours.closest = ~0ull;
    for (const Member& member : members_) {
      if (member.slot[level - 1] != kOurs) continue;
      ours.closest = std::min(ours.closest, leading_distance(member.contact.id, ours.id));
    }
  }
}

void ClusterView::count(Level level, std::span<Tally, kCandidatesMax + 1> out) const {
  std::fill(out.begin(), out.end(), Tally{});
  for (const Member& member : members_) {
    const Slot slot = member.slot[level - 1];
    if (slot == kNone) continue;
    Tally& tally = out[slot];
    ++tally.known;
    if (!member.said[level - 1] || member.rtt_us == kUnmeasured) continue;
    ++tally.measured;
    if (is_within(member, level)) ++tally.within;
  }
}

std::optional<std::size_t> ClusterView::closest_member(Level level) const {
  std::optional<std::size_t> best;
  const ClusterId& id = clusters_[level - 1][kOurs].id;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].slot[level - 1] != kOurs) continue;
    if (!best || distance(members_[i].contact.id, id) < distance(members_[*best].contact.id, id)) best = i;
  }
  return best;
}

void ClusterView::note_asked(std::size_t member, Seconds now) {
  Member& m = members_[member];
  m.asked = now;
  if (m.tries < kTriesMax) ++m.tries;
}

void ClusterView::adopt(Level level, Slot candidate) {
  auto& slots = clusters_[level - 1];
  std::swap(slots[kOurs], slots[candidate]);
  for (Member& member : members_) {
    Slot& slot = member.slot[level - 1];
    if (slot == kOurs) {
      slot = candidate;
    } else if (slot == candidate) {
      slot = kOurs;
    }
  }
}

void ClusterView::found(Level level, const ClusterId& id, Seconds now) {
  auto& slots = clusters_[level - 1];
  Slot free = 1;
  for (std::size_t i = 1; i < slots.size(); ++i) {
    if (slots[i].id.is_zero() || slots[i].log2_size < slots[free].log2_size) free = static_cast<Slot>(i);
    if (slots[i].id.is_zero()) break;
  }
  if (!slots[free].id.is_zero()) drop_cluster(level, free);
  adopt(level, free);
  slots[kOurs] = {};
  slots[kOurs].id = id;
  slots[kOurs].founded = now;
  slots[kOurs].noticed = now;
  // What was free until now has nobody in it.
  if (slots[free].members == 0) slots[free] = {};
}

void ClusterView::refuse(Level level, Slot candidate, Seconds until) {
  auto& next = refused_next_[level - 1];
  refused_[level - 1][next] = {clusters_[level - 1][candidate].id.leading_word(), until};
  next = (next + 1) % kRefusedMax;
  drop_cluster(level, candidate);
}

}  // namespace reef::dsht
