#include "node/live_set.h"

#include <algorithm>
#include <unordered_set>

namespace reef::node {
namespace {

bool offers_something(const dsht::Contact& contact) {
  return contact.http_port != 0 || contact.dns_port != 0;
}

Duration rtt_of(const dsht::TableEntry* entry) { return entry->rtt.least().value_or(Duration::max()); }

}  // namespace

// The nearer half of `count` by their round trip, the others by lot; who is there already stays.
void LiveSet::choose_level(Candidates& of_level, std::size_t count,
                           std::vector<std::pair<const dsht::TableEntry*, bool>>& out) {
  count = std::min(count, of_level.size());
  const auto near = static_cast<std::ptrdiff_t>((count + 1) / 2);
  std::partial_sort(of_level.begin(), of_level.begin() + near, of_level.end(),
                    [](const auto* a, const auto* b) { return rtt_of(a) < rtt_of(b); });
  const auto rest = of_level.begin() + near;
  std::shuffle(rest, of_level.end(), random_);
  std::stable_partition(rest, of_level.end(), [&](const auto* entry) {
    const auto member = members_.find(entry->contact.id);
    return member != members_.end() && member->second.is_chosen;
  });
  for (std::size_t i = 0; i < count; ++i)
    out.emplace_back(of_level[i], static_cast<std::ptrdiff_t>(i) >= near);
}

void LiveSet::choose(TimePoint now, std::span<const dsht::TableEntry> table) {
  change_some(now);
  std::array<Candidates, dsht::kLevels> by_level;
  std::unordered_map<NodeId, const dsht::TableEntry*> known;
  for (const dsht::TableEntry& entry : table) {
    if (!offers_something(entry.contact)) continue;
    by_level[entry.innermost()].push_back(&entry);
    known.emplace(entry.contact.id, &entry);
  }
  std::vector<std::pair<const dsht::TableEntry*, bool>> chosen;
  // What an inner level does not need is the outer ones'; what these do not need is left to the inner.
  const std::size_t quarter = options_.nodes_max / 4;
  const std::array<std::size_t, dsht::kLevels> least = {quarter, quarter, options_.nodes_max - 2 * quarter};
  std::array<std::size_t, dsht::kLevels> share{};
  std::size_t left = options_.nodes_max;
  for (std::size_t level = 0; level < dsht::kLevels; ++level) {
    share[level] = std::min(least[level], by_level[level].size());
    left -= share[level];
  }
  for (std::size_t level = dsht::kLevels; level-- > 0;) {
    const std::size_t more = std::min(left, by_level[level].size() - share[level]);
    share[level] += more;
    left -= more;
    choose_level(by_level[level], share[level], chosen);
  }

  for (auto& [id, member] : members_) {
    // What the index knows newer is true; who is no longer in its table said that it leaves, or is dead.
    const auto at = known.find(id);
    if (member.is_chosen && at == known.end()) member.node.heard_at = TimePoint::min();
    member.is_chosen = member.by_lot = false;
    if (at == known.end()) continue;
    const dsht::TableEntry& entry = *at->second;
    const TimePoint heard = std::max(member.node.heard_at, entry.heard_at);
    member.node = {entry.contact, entry.rtt.least(), heard, entry.innermost()};
  }
  for (const auto& [entry, by_lot] : chosen) {
    const auto [at, is_new] = members_.try_emplace(entry->contact.id);
    Member& member = at->second;
    if (is_new) member.node = {entry->contact, entry->rtt.least(), entry->heard_at, entry->innermost()};
    member.is_chosen = true;
    member.by_lot = by_lot;
  }
  std::erase_if(members_, [&](const auto& m) { return !m.second.is_chosen && !is_named(now, m.second); });
}

void LiveSet::change_some(TimePoint now) {
  if (now < change_at_) return;
  change_at_ = now + options_.change_one_every;
  std::array<std::vector<NodeId>, dsht::kLevels> by_lot;
  for (const auto& [id, member] : members_) {
    if (member.is_chosen && member.by_lot) by_lot[member.node.level].push_back(id);
  }
  for (auto& ids : by_lot) {
    if (ids.empty()) continue;
    std::sort(ids.begin(), ids.end());
    members_.at(ids[random_.below(ids.size())]).is_chosen = false;
  }
}

void LiveSet::name(TimePoint now, std::span<const dsht::Contact> near) {
  for (const dsht::Contact& contact : near) {
    const auto [at, is_new] = members_.try_emplace(contact.id);
    if (is_new) {
      at->second.node.contact = contact;
      at->second.node.heard_at = TimePoint::min();
    }
    at->second.named_at = now;
  }
  std::vector<std::pair<TimePoint, NodeId>> named;
  for (const auto& [id, member] : members_) {
    if (!member.is_chosen && is_named(now, member)) named.emplace_back(member.named_at, id);
  }
  if (named.size() <= options_.named_max) return;
  std::sort(named.begin(), named.end());
  named.resize(named.size() - options_.named_max);
  for (const auto& [at, id] : named) members_.erase(id);
}

bool LiveSet::is_named(TimePoint now, const Member& member) const {
  return member.named_at != TimePoint::min() && now - member.named_at < options_.named_for;
}

std::vector<dsht::Contact> LiveSet::due(TimePoint now) {
  // Who was not heard for the longest time first, so that the bound delays everybody alike.
  std::vector<Member*> due;
  for (auto& [id, member] : members_) {
    if (member.is_asked) continue;
    const TimePoint last = std::max(member.node.heard_at, member.asked_at);
    const bool is_silent =
        member.node.heard_at == TimePoint::min() ||
        (member.asked_at > member.node.heard_at && now - member.node.heard_at >= options_.heard_within);
    const Duration every =
        is_silent && member.asked_at != TimePoint::min() ? options_.ping_silent : options_.ping_every;
    if (last == TimePoint::min() || now - last >= every) due.push_back(&member);
  }
  const std::size_t count = std::min(due.size(), options_.pings_max);
  std::partial_sort(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(count), due.end(),
                    [](const Member* a, const Member* b) {
                      return std::pair(a->node.heard_at, a->node.contact.id) <
                             std::pair(b->node.heard_at, b->node.contact.id);
                    });
  std::vector<dsht::Contact> out;
  for (std::size_t i = 0; i < count; ++i) {
    due[i]->is_asked = true;
    due[i]->asked_at = now;
    out.push_back(due[i]->node.contact);
  }
  return out;
}

void LiveSet::heard(const dsht::Neighbour& who) {
  const auto at = members_.find(who.contact.id);
  if (at == members_.end()) return;
  Member& member = at->second;
  member.is_asked = false;
  member.node.heard_at = std::max(member.node.heard_at, who.heard_at);
  member.node.contact = who.contact;
  member.node.level = who.level;
  if (who.rtt) member.node.rtt = who.rtt;
}

void LiveSet::silent(const NodeId& who) {
  if (const auto at = members_.find(who); at != members_.end()) at->second.is_asked = false;
}

std::vector<dsht::Neighbour> LiveSet::live(TimePoint now) const {
  std::vector<dsht::Neighbour> out;
  for (const auto& [id, member] : members_) {
    if (is_live(now, id)) out.push_back(member.node);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.contact.id < b.contact.id; });
  return out;
}

bool LiveSet::is_live(TimePoint now, const NodeId& who) const {
  const auto at = members_.find(who);
  if (at == members_.end() || at->second.node.heard_at == TimePoint::min()) return false;
  return now - at->second.node.heard_at <= options_.heard_within;
}

}  // namespace reef::node
