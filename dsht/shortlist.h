// What one iterative lookup knows: the candidates by distance to its target, and what became of each.
//
// A candidate is `fresh` until asked. `asked` counts towards the lookup's parallelism; when its first
// time-out passes it is `slow`: still hoped for, but another may be asked in its place. It ends as `answered`
// or `failed`.
//
//   fresh ──▶ asked ──▶ slow ──▶ failed ──▶ fresh   (once more, if somebody insists that it lives)
//               └─────────┴────▶ answered
// Not thread-safe, no I/O.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "dsht/contact.h"

namespace reef::dsht {

struct Candidate {
  enum class State : std::uint8_t { fresh, asked, slow, answered, failed };

  Contact contact;
  Distance from_target;
  State state = State::fresh;
  bool revived = false;     // it had its second chance
  bool tried = false;       // the walk went to store there
  int hops = 1;             // requests in a row that led to it
  std::uint64_t token = 0;  // from its answer
};

class Shortlist {
 public:
  // At most `capacity` candidates; the furthest that was not asked gives way.
  Shortlist(const Key& target, const NodeId& self, std::size_t capacity);

  // Adds a contact unless it is known or ourselves. `hops`: of the one that named it, plus one.
  void add(const Contact& contact, int hops);
  [[nodiscard]] Candidate* find(const NodeId& id);

  // The next to ask: the closest fresh one among the `width` closest that have not failed; nullptr when there
  // is none.
  [[nodiscard]] Candidate* next(std::size_t width);
  // The closest that has not failed; nullptr when there is none.
  [[nodiscard]] Candidate* head();
  // Whether the `count` closest that have not failed (or all, if fewer) answered.
  [[nodiscard]] bool settled(std::size_t count) const;
  // Whether none of the `count` closest that have not failed is still expected to answer soon.
  [[nodiscard]] bool is_quiet(std::size_t count) const;
  [[nodiscard]] int in_flight() const;  // asked, not slow
  // How many that have not failed are closer to the target than `from_target`.
  [[nodiscard]] std::size_t closer_than(const Distance& from_target) const;

  [[nodiscard]] std::vector<Candidate>& candidates() { return candidates_; }  // closest first
  [[nodiscard]] const Key& target() const { return target_; }
  [[nodiscard]] const Distance& own_distance() const { return own_distance_; }

 private:
  const Key target_;
  const NodeId self_;
  const Distance own_distance_;
  const std::size_t capacity_;
  std::vector<Candidate> candidates_;
};

}  // namespace reef::dsht
