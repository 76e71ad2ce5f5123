#include "dsht/shortlist.h"

#include <algorithm>

namespace reef::dsht {

using State = Candidate::State;

Shortlist::Shortlist(const Key& target, const NodeId& self, std::size_t capacity)
    : target_(target), self_(self), own_distance_(distance(self, target)), capacity_(capacity) {
  candidates_.reserve(capacity);
}

void Shortlist::add(const Contact& contact, int hops) {
  if (contact.id == self_) return;
  Candidate candidate;
  candidate.contact = contact;
  candidate.from_target = distance(contact.id, target_);
  candidate.hops = hops;
  const auto place =
      std::lower_bound(candidates_.begin(), candidates_.end(), candidate.from_target,
                       [](const Candidate& c, const Distance& d) { return c.from_target < d; });
  // The same distance is the same id.
  if (place != candidates_.end() && place->from_target == candidate.from_target) return;
  if (candidates_.size() >= capacity_) {
    if (place == candidates_.end()) return;
    const auto furthest = std::find_if(candidates_.rbegin(), candidates_.rend(), [](const Candidate& c) {
      return c.state == State::fresh || c.state == State::failed;
    });
    if (furthest == candidates_.rend() || furthest->from_target < candidate.from_target) return;
    const auto index = place - candidates_.begin();
    candidates_.erase(std::next(furthest).base());
    candidates_.insert(candidates_.begin() + index, std::move(candidate));
    return;
  }
  candidates_.insert(place, std::move(candidate));
}

Candidate* Shortlist::find(const NodeId& id) {
  const Distance d = distance(id, target_);
  const auto at =
      std::lower_bound(candidates_.begin(), candidates_.end(), d,
                       [](const Candidate& c, const Distance& other) { return c.from_target < other; });
  return at != candidates_.end() && at->from_target == d ? &*at : nullptr;
}

Candidate* Shortlist::next(std::size_t width) {
  std::size_t seen = 0;
  for (Candidate& candidate : candidates_) {
    if (candidate.state == State::failed) continue;
    if (candidate.state == State::fresh) return &candidate;
    // One that is slow holds no place: what lies behind it must be reachable meanwhile.
    if (candidate.state != State::slow && ++seen >= width) return nullptr;
  }
  return nullptr;
}

Candidate* Shortlist::head() {
  const auto at = std::find_if(candidates_.begin(), candidates_.end(),
                               [](const Candidate& c) { return c.state != State::failed; });
  return at == candidates_.end() ? nullptr : &*at;
}

bool Shortlist::settled(std::size_t count) const {
  for (const Candidate& candidate : candidates_) {
    if (count == 0) return true;
    if (candidate.state == State::failed) continue;
    if (candidate.state != State::answered) return false;
    --count;
  }
  return true;
}

bool Shortlist::is_quiet(std::size_t count) const {
  for (const Candidate& candidate : candidates_) {
    if (count == 0) return true;
    if (candidate.state == State::failed) continue;
    if (candidate.state == State::asked || candidate.state == State::fresh) return false;
    --count;
  }
  return true;
}

int Shortlist::in_flight() const {
  return static_cast<int>(std::count_if(candidates_.begin(), candidates_.end(),
                                        [](const Candidate& c) { return c.state == State::asked; }));
}

std::size_t Shortlist::closer_than(const Distance& from_target) const {
  return static_cast<std::size_t>(std::count_if(
      candidates_.begin(), candidates_.end(),
      [&](const Candidate& c) { return c.state != State::failed && c.from_target < from_target; }));
}

}  // namespace reef::dsht
