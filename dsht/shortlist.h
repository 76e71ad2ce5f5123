// What one iterative lookup knows: the candidates by distance to its target, and what became of each.
//
// A candidate is `fresh` until asked. `asked` counts towards the lookup's parallelism; when its answer is
// later than usual it is `slow`: still hoped for, but another may be asked in its place. It ends as
// `answered` or `failed`.
//
//   fresh ──▶ asked ──▶ slow ──▶ failed ──▶ fresh   (once more, if somebody insists that it lives)
//               └─────────┴────▶ answered
//
// Against liars. Who named several that failed and nobody that answered is *blamed*: the fresh candidates
// that only it named are asked after everybody else, so that a list of dead ids next to the target does not
// cost a time-out each. Where it is known about how many nodes there are, ids are *implausible* if so many so
// close to the target would not happen by chance once in a hundred targets: crowded or made up, they are
// passed over; so are, but for two, those of a crowd next to each other. And of one address group (/24, /48)
// only the closest few that have not failed are looked at; the lookup goes on as if further ones were not
// there, so that ids crowded around the target from one network do not surround it. They are kept, for closer
// ones may fail. Not thread-safe, no I/O.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "dsht/address_group.h"
#include "dsht/contact.h"

namespace reef::dsht {

struct Candidate {
  enum class State : std::uint8_t { fresh, asked, slow, answered, failed };

  Contact contact;
  Distance from_target;
  State state = State::fresh;
  bool revived = false;     // it had its second chance
  int hops = 1;             // requests in a row that led to it
  std::uint64_t token = 0;  // from its answer
  NodeId named_by;          // who named it first; zero: our own table
  bool confirmed = false;   // somebody else named it too
  AddressGroup group = kNoGroup;
};

class Shortlist {
 public:
  static constexpr std::size_t kPerPrefixMax = 2;

  // At most `capacity` candidates; the furthest that was not asked gives way, those of a blamed namer first.
  // `per_prefix_max`: of one group among those looked at; 0: no limit. `nodes`: about how many nodes there
  // are; 0: unknown, every id is plausible.
  Shortlist(const Key& target, const NodeId& self, std::size_t capacity,
            std::size_t per_prefix_max = kPerPrefixMax, double nodes = 0);

  // Adds a contact unless it is ourselves; one that is known becomes `confirmed` if another named it. `hops`:
  // of the one that named it, plus one. `named_by`: zero for our own table.
  void add(const Contact& contact, int hops, const NodeId& named_by = {});
  // Valid until add().
  [[nodiscard]] Candidate* find(const NodeId& id);

  // Below, those of a group beyond per_prefix_max and the implausible are not there.
  // The next to ask: the closest fresh one among the `width` closest that have not failed. Those named only
  // by a blamed node hold none of these places; they come when no other is fresh or asked. nullptr when there
  // is none.
  [[nodiscard]] Candidate* next(std::size_t width);
  // The fresh one closest to `toward` of those closer to the target than `here`; those named only by a blamed
  // node come last. nullptr when there is none.
  [[nodiscard]] Candidate* next_towards(const Key& toward, const Distance& here);
  // The closest that has not failed; nullptr when there is none.
  [[nodiscard]] Candidate* head();
  // Whether the `count` closest that have not failed (or all, if fewer) answered.
  [[nodiscard]] bool settled(std::size_t count) const;
  // Whether none of the `count` closest that have not failed is still expected to answer soon.
  [[nodiscard]] bool is_quiet(std::size_t count) const;
  // Whether one of the `count` closest that have not failed has answered; or all of them are late.
  [[nodiscard]] bool has_spoken(std::size_t count) const;
  // How many of the `count` closest that have not failed answered.
  [[nodiscard]] std::size_t answered(std::size_t count) const;
  [[nodiscard]] int in_flight() const;  // asked, not slow; of all
  [[nodiscard]] int late() const;       // slow; of all

  // All of them, closest first. Only their states may be changed.
  [[nodiscard]] std::vector<Candidate>& candidates() { return candidates_; }
  [[nodiscard]] const Key& target() const { return target_; }
  [[nodiscard]] const Distance& own_distance() const { return own_distance_; }

 private:
  // Calls visit(candidate) for those that have not failed, are plausible and not too many of their group,
  // closest first, until it returns false.
  template <class Visit>
  void look_at(Visit visit) const;
  // Who named several that failed, and nobody that answered.
  [[nodiscard]] std::vector<NodeId> blamed() const;
  // Whether `rank` or more ids sharing that many bits with the target are too many to be chance.
  [[nodiscard]] bool is_implausible(int bits, std::size_t rank) const;
  // Whether two ids are closer to each other than chance would have it.
  [[nodiscard]] bool are_crowded(const Candidate& a, const Candidate& b) const;
  // Makes room for one at that distance; false if everybody else has a better claim.
  bool make_room(const Candidate& newcomer);

  Key target_;
  NodeId self_;
  Distance own_distance_;
  std::size_t capacity_;
  std::size_t per_prefix_max_;
  double nodes_;
  std::vector<Candidate> candidates_;
};

}  // namespace reef::dsht
