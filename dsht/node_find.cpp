// Nodes near somebody whom we do not know: those that stand under the same hints, asked whether they live.
#include <algorithm>

#include "dsht/node.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kNamedMax = 64;     // of one search
constexpr std::size_t kMembersAsked = 3;  // of a random walk, at once

}  // namespace

WalkId Node::find_nodes(TimePoint now, FindNodes what, Duration budget) {
  const WalkId id = ++last_walk_;
  if (searches_.size() >= options_.walks_max || leaving_) {
    actions_.emplace_back(NodesFound{id, {}});
    return id;
  }
  Search& search = searches_[id];
  search.what = std::move(what);
  search.due = now + std::clamp(budget, Duration::zero(), options_.walk_max);
  // A walk that ends at once shall not end the search before the next one has begun.
  ++search.open;
  for (const Contact& contact : search.what.contacts) note_named(now, search, contact, 0, true);
  if (!search.what.hints.empty()) {
    read_hints(now, id, search, budget);
  } else if (search.what.contacts.empty() && search.what.level > 0 && search.what.level < options_.levels) {
    sample_members(now, id, search);
  }
  --search.open;
  end_if_settled(id);
  return id;
}

void Node::read_hints(TimePoint now, WalkId id, Search& search, Duration budget) {
  const std::size_t count = std::min(search.what.hints.size(), kHintsMax);
  for (std::size_t i = 0; i < count; ++i) {
    Walk* walk = start_walk(now, WalkKind::hint, search.what.hints[i], budget, mask_of(0));
    if (walk == nullptr) continue;
    walk->search = id;
    walk->hint = i;
    ++search.open;
    advance(now, walk->id);
  }
}

// One step from members drawn by lot: each names members drawn by lot of those it knows.
void Node::sample_members(TimePoint now, WalkId id, Search& search) {
  const Level level = search.what.level;
  std::vector<Contact> members;
  for (const TableEntry& entry : table_.entries()) {
    if (entry.stands_at(level) && !entry.is_suspect()) members.push_back(entry.contact);
  }
  for (std::size_t i = 0; i < std::min(members.size(), kMembersAsked); ++i) {
    std::swap(members[i], members[i + random_.below(members.size() - i)]);
    if (send_sample(now, members[i], level, clusters_.id(level), id)) ++search.open;
  }
}

// ---- what comes

void Node::search_read(TimePoint now, const Walk& walk, WalkEnd end) {
  const auto found = searches_.find(walk.search);
  if (found == searches_.end()) return;
  if (end == WalkEnd::deadline) found->second.is_cut = true;
  for (const Contact& contact : contacts_under_hint(walk.seen))
    note_named(now, found->second, contact, walk.hint);
  --found->second.open;
  end_if_settled(walk.search);
}

void Node::search_sampled(TimePoint now, WalkId id, const std::vector<Contact>& contacts) {
  const auto found = searches_.find(id);
  if (found == searches_.end()) return;
  for (const Contact& contact : contacts) note_named(now, found->second, contact, 0);
  --found->second.open;
  end_if_settled(id);
}

void Node::note_named(TimePoint now, Search& search, const Contact& contact, std::size_t hint,
                      bool is_check) {
  const auto known = std::find_if(search.named.begin(), search.named.end(),
                                  [&](const Named& n) { return n.contact.id == contact.id; });
  if (known != search.named.end()) {
    known->hint = std::min(known->hint, hint);
    return;
  }
  if (search.named.size() >= kNamedMax) return;
  Named named{contact, hint, Named::State::asked, {}, {}};
  const TableEntry* entry = table_.find(contact.id);
  if (entry != nullptr && entry->contact.rpc == contact.rpc && !entry->is_suspect() && entry->rtt.least() &&
      now - entry->heard_at < search.what.heard_within) {
    named = {entry->contact, hint, Named::State::answered, entry->rtt.least(), entry->heard_at};
  } else {
    ping(now, contact,
         entry == nullptr ? PingKind::unverified
         : is_check       ? PingKind::check
                          : PingKind::upkeep);
    if (!pinging_.contains(contact.id)) return;  // too many requests in flight
  }
  search.named.push_back(std::move(named));
}

void Node::settle_named(const NodeId& id, const std::function<void(Named&)>& settle) {
  if (searches_.empty()) return;
  std::vector<WalkId> touched;
  for (auto& [search_id, search] : searches_) {
    for (Named& named : search.named) {
      if (named.contact.id != id || named.state != Named::State::asked) continue;
      settle(named);
      touched.push_back(search_id);
    }
  }
  for (const WalkId search_id : touched) end_if_settled(search_id);
}

// ---- the end

void Node::end_if_settled(WalkId id) {
  const auto found = searches_.find(id);
  if (found == searches_.end() || found->second.open > 0) return;
  const auto& named = found->second.named;
  const bool is_waiting =
      std::any_of(named.begin(), named.end(), [](const Named& n) { return n.state == Named::State::asked; });
  if (!is_waiting) end_search(id, true);
}

void Node::end_overdue_searches(TimePoint now) {
  if (searches_.empty()) return;
  std::vector<WalkId> overdue;
  for (const auto& [id, search] : searches_) {
    if (now >= search.due) overdue.push_back(id);
  }
  std::sort(overdue.begin(), overdue.end());
  for (const WalkId id : overdue) end_search(id, false);
}

void Node::end_search(WalkId id, bool complete) {
  const auto found = searches_.find(id);
  if (found == searches_.end()) return;
  Search search = std::move(found->second);
  searches_.erase(found);
  auto& named = search.named;
  std::erase_if(named, [](const Named& n) { return n.state != Named::State::answered; });
  std::sort(named.begin(), named.end(), [](const Named& a, const Named& b) {
    const auto rank = [](const Named& n) { return std::pair(n.hint, n.rtt.value_or(Duration::max())); };
    return rank(a) < rank(b);
  });
  NodesNear out;
  out.complete = complete && !search.is_cut;
  const auto first =
      std::find_if(named.begin(), named.end(), [](const Named& n) { return n.rtt.has_value(); });
  if (!search.what.hints.empty() && first != named.end()) {
    out.verdict = {level_within(*first->rtt), LevelVerdict::Source::hint, first->rtt};
  }
  for (const Named& n : named) {
    if (out.nodes.size() >= search.what.count) break;
    if ((n.contact.services & search.what.services) != search.what.services) continue;
    const TableEntry* entry = table_.find(n.contact.id);
    out.nodes.push_back({n.contact, n.rtt, n.heard_at, entry == nullptr ? Level{0} : entry->innermost()});
    out.named_by.push_back(n.hint);
  }
  actions_.emplace_back(NodesFound{id, std::move(out)});
}

}  // namespace reef::dsht
