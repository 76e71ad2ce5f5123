#include "dsht/shortlist.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace reef::dsht {
namespace {

using State = Candidate::State;

// One dead contact is anybody's bad luck, and when many nodes die at once so are two.
constexpr std::size_t kBlamedAt = 3;
// Estimates of the number of nodes are off by a factor of two and more now and then.
constexpr double kNodesMargin = 4;
// How few ids are to be expected within a distance if the first, second, ... is to be there by chance only
// once in a hundred times: λ with P(N >= rank) = 0.01 for a Poisson distributed N.
constexpr double kChanceExpected[] = {0.01005, 0.1486, 0.4360, 0.8232, 1.2791, 1.7853};

bool is_deferred(const Candidate& candidate, const std::vector<NodeId>& blamed) {
  return candidate.state == State::fresh && !candidate.confirmed &&
         std::find(blamed.begin(), blamed.end(), candidate.named_by) != blamed.end();
}

}  // namespace

Shortlist::Shortlist(const Key& target, const NodeId& self, std::size_t capacity, std::size_t per_prefix_max,
                     double nodes)
    : target_(target),
      self_(self),
      own_distance_(distance(self, target)),
      capacity_(capacity),
      per_prefix_max_(per_prefix_max),
      nodes_(nodes) {
  candidates_.reserve(capacity);
}

void Shortlist::add(const Contact& contact, int hops, const NodeId& named_by) {
  if (contact.id == self_) return;
  if (Candidate* known = find(contact.id)) {
    // Nobody confirms itself: an id that names itself proves nothing about who else knows it.
    if (known->named_by != named_by && named_by != contact.id) known->confirmed = true;
    return;
  }
  Candidate candidate;
  candidate.contact = contact;
  candidate.from_target = distance(contact.id, target_);
  candidate.hops = hops;
  candidate.named_by = named_by;
  if (is_implausible(candidate.from_target.leading_zeros(), 1)) return;
  candidate.group = address_group(contact.rpc.address);
  if (candidates_.size() >= capacity_ && !make_room(candidate)) return;
  const auto place =
      std::lower_bound(candidates_.begin(), candidates_.end(), candidate.from_target,
                       [](const Candidate& c, const Distance& d) { return c.from_target < d; });
  candidates_.insert(place, std::move(candidate));
}

bool Shortlist::is_implausible(int bits, std::size_t rank) const {
  if (nodes_ <= 0 || rank > std::size(kChanceExpected)) return false;
  return kNodesMargin * nodes_ * std::exp2(-bits) < kChanceExpected[rank - 1];
}

bool Shortlist::are_crowded(const Candidate& a, const Candidate& b) const {
  return is_implausible(distance(a.contact.id, b.contact.id).leading_zeros(), 1);
}

bool Shortlist::make_room(const Candidate& newcomer) {
  const std::vector<NodeId> bad = blamed();
  const bool is_bad = is_deferred(newcomer, bad);
  auto victim = std::find_if(candidates_.rbegin(), candidates_.rend(),
                             [&](const Candidate& c) { return is_deferred(c, bad); });
  // The word of a blamed node displaces nobody else's; anybody else's displaces it.
  if (victim == candidates_.rend() && !is_bad) {
    victim = std::find_if(candidates_.rbegin(), candidates_.rend(), [](const Candidate& c) {
      return c.state == State::fresh || c.state == State::failed;
    });
    if (victim != candidates_.rend() && victim->from_target < newcomer.from_target) return false;
  }
  if (victim == candidates_.rend() || (is_bad && victim->from_target < newcomer.from_target)) return false;
  candidates_.erase(std::next(victim).base());
  return true;
}

Candidate* Shortlist::find(const NodeId& id) {
  const Distance d = distance(id, target_);
  const auto at =
      std::lower_bound(candidates_.begin(), candidates_.end(), d,
                       [](const Candidate& c, const Distance& other) { return c.from_target < other; });
  // The same distance is the same id.
  return at != candidates_.end() && at->from_target == d ? &*at : nullptr;
}

template <class Visit>
void Shortlist::look_at(Visit visit) const {
  std::size_t rank = 0;
  const Candidate* before = nullptr;
  const Candidate* before_that = nullptr;
  for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
    // Those that failed count in a crowd, or each two would make way for the next two.
    const Candidate* second = std::exchange(before_that, std::exchange(before, &*at));
    if (at->state == State::failed) continue;
    if (second != nullptr && are_crowded(*second, *at)) continue;
    if (is_implausible(at->from_target.leading_zeros(), rank + 1)) continue;
    if (at->group != kNoGroup && per_prefix_max_ > 0) {
      const auto closer = std::count_if(candidates_.begin(), at, [&](const Candidate& other) {
        return other.group == at->group && other.state != State::failed;
      });
      if (static_cast<std::size_t>(closer) >= per_prefix_max_) continue;
    }
    ++rank;
    if (!visit(*at)) return;
  }
}

std::vector<NodeId> Shortlist::blamed() const {
  std::vector<NodeId> out;
  for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
    if (at->state != State::failed || at->named_by.is_zero()) continue;
    const auto failed = std::count_if(candidates_.begin(), at, [&](const Candidate& other) {
      return other.state == State::failed && other.named_by == at->named_by;
    });
    if (static_cast<std::size_t>(failed) + 1 != kBlamedAt) continue;
    const bool is_right_too =
        std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
          return other.state == State::answered && other.named_by == at->named_by;
        });
    if (!is_right_too) out.push_back(at->named_by);
  }
  return out;
}

Candidate* Shortlist::next(std::size_t width) {
  const std::vector<NodeId> bad = blamed();
  const Candidate* found = nullptr;
  const Candidate* last_resort = nullptr;
  bool is_waiting = false;  // for somebody who may name others
  std::size_t seen = 0;
  look_at([&](const Candidate& candidate) {
    if (is_deferred(candidate, bad)) {
      if (last_resort == nullptr) last_resort = &candidate;
      return true;
    }
    if (candidate.state == State::asked) is_waiting = true;
    // One that is slow holds no place: what lies behind it must be reachable meanwhile.
    if (candidate.state == State::fresh) found = &candidate;
    if (candidate.state != State::slow) ++seen;
    return found == nullptr && seen < width;
  });
  if (found == nullptr && !is_waiting) found = last_resort;
  return const_cast<Candidate*>(found);
}

Candidate* Shortlist::next_towards(const Key& toward, const Distance& here) {
  const std::vector<NodeId> bad = blamed();
  const Candidate* best = nullptr;
  Distance best_distance;
  bool is_best_bad = false;
  look_at([&](const Candidate& candidate) {
    if (!(candidate.from_target < here)) return false;
    if (candidate.state != State::fresh) return true;
    const bool is_bad = is_deferred(candidate, bad);
    const Distance d = distance(candidate.contact.id, toward);
    if (best == nullptr || std::pair(is_bad, d) < std::pair(is_best_bad, best_distance)) {
      best = &candidate;
      best_distance = d;
      is_best_bad = is_bad;
    }
    return true;
  });
  return const_cast<Candidate*>(best);
}

Candidate* Shortlist::head() {
  const auto at = std::find_if(candidates_.begin(), candidates_.end(),
                               [](const Candidate& c) { return c.state != State::failed; });
  return at == candidates_.end() ? nullptr : &*at;
}

bool Shortlist::settled(std::size_t count) const {
  bool out = true;
  look_at([&](const Candidate& candidate) {
    if (count == 0) return false;
    --count;
    return out = candidate.state == State::answered;
  });
  return out;
}

bool Shortlist::is_quiet(std::size_t count) const {
  bool out = true;
  look_at([&](const Candidate& candidate) {
    if (count == 0) return false;
    --count;
    return out = candidate.state != State::asked && candidate.state != State::fresh;
  });
  return out;
}

bool Shortlist::has_spoken(std::size_t count) const {
  bool is_waiting = false;
  bool has_answer = false;
  look_at([&](const Candidate& candidate) {
    if (count == 0) return false;
    --count;
    has_answer = has_answer || candidate.state == State::answered;
    is_waiting = is_waiting || candidate.state == State::fresh || candidate.state == State::asked;
    return !has_answer;
  });
  return has_answer || !is_waiting;
}

std::size_t Shortlist::answered(std::size_t count) const {
  std::size_t out = 0;
  look_at([&](const Candidate& candidate) {
    if (count == 0) return false;
    --count;
    out += candidate.state == State::answered;
    return true;
  });
  return out;
}

int Shortlist::in_flight() const {
  return static_cast<int>(std::count_if(candidates_.begin(), candidates_.end(),
                                        [](const Candidate& c) { return c.state == State::asked; }));
}

int Shortlist::late() const {
  return static_cast<int>(std::count_if(candidates_.begin(), candidates_.end(),
                                        [](const Candidate& c) { return c.state == State::slow; }));
}

}  // namespace reef::dsht
