// What a node has heard of the clusters of levels 1 and 2: its own, a few candidates, and of each a sample of
// its members with the RTTs that the node measured to them. Remembers and counts; decides nothing
// (dsht/clusters.h does).
//
// One table of members serves both levels, because who is near at one level mostly is at the other; each
// member is in at most one cluster of a level. A member *said* that it is in its cluster, or was only *named*
// as one by another; only who said it and was measured counts. Memory: about 70 bytes a member and 50 a
// cluster. heard() of a known member that says what it said before is one scan over a byte per member and
// allocates nothing.
//
// A cluster that was looked at and is too far is *refused* for a while, so that its many members do not have
// to be measured again and again.
//
// Times are whole seconds since a moment of the owner's choice. Not thread-safe, no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "base/random.h"
#include "base/time.h"
#include "dsht/contact.h"
#include "dsht/messages.h"

namespace reef::dsht {

struct ClusterViewLimits {
  std::array<Duration, kLevels> threshold{};
  std::size_t sample_size = 16;      // members of one cluster
  std::size_t candidates_max = 8;    // clusters of a level besides ours, at most kCandidatesMax
  std::size_t members_max = 128;     // of all clusters together
  std::int32_t forget_after = 1800;  // seconds that a member was not heard of
};

class ClusterView {
 public:
  using Seconds = std::int32_t;
  using Slot = std::uint8_t;
  static constexpr Slot kOurs = 0;
  static constexpr Slot kNone = 0xff;
  static constexpr std::size_t kCandidatesMax = 31;
  static constexpr std::uint32_t kUnmeasured = 0xffffffff;
  static constexpr Seconds kNever = -(1 << 30);

  struct Cluster {
    ClusterId id;         // zero: the slot is free
    float log2_size = 0;  // as its members say, the last ones weighing most
    Seconds founded = 0;
    Seconds noticed = 0;            // when we first heard of it
    Seconds sampled = kNever;       // when we last asked for its members
    std::uint64_t closest = ~0ull;  // leading bits of the least distance of a member to the id
    std::uint8_t members = 0;       // in our sample
    [[nodiscard]] ClusterDescription description(Seconds now) const;
  };
  struct Member {
    Contact contact;
    std::uint32_t rtt_us = kUnmeasured;
    Seconds heard = 0;                       // of it, from itself or by name
    Seconds asked = kNever;                  // we asked for a measurement
    std::array<Slot, 2> slot{kNone, kNone};  // by level - 1
    std::array<bool, 2> said{};
    std::uint8_t tries = 0;  // measurements asked for in vain
  };
  struct Tally {
    int known = 0;     // members in the sample
    int measured = 0;  // who said that they are members, and were measured
    int within = 0;    // of those, below the threshold
    [[nodiscard]] double share() const { return measured == 0 ? 0 : double(within) / measured; }
  };

  ClusterView(const ClusterViewLimits& limits, const NodeId& self, Random random);

  // True if there is now a cluster or a member to look at that there was not before.
  bool heard(Seconds now, const Contact& contact, const std::array<ClusterDescription, 2>& clusters,
             std::optional<Duration> rtt);
  bool named(Seconds now, Level level, const ClusterId& cluster, const Contact& contact);
  void lost(const NodeId& id);
  // Drops members not heard of lately, candidates without members, and finds the members closest to our ids.
  void tidy(Seconds now);

  // The slots of a level; [kOurs] is ours, others may be free.
  [[nodiscard]] std::span<const Cluster> clusters(Level level) const { return clusters_[level - 1]; }
  [[nodiscard]] std::span<const Member> members() const { return members_; }
  [[nodiscard]] Slot find(Level level, const ClusterId& id) const;  // kNone if unknown
  // One for each slot.
  void count(Level level, std::span<Tally, kCandidatesMax + 1> out) const;
  [[nodiscard]] bool is_within(const Member& member, Level level) const {
    return member.rtt_us < threshold_us_[level - 1];
  }
  // The member of our sample that is closest to our cluster's id; nullopt: nobody is known.
  [[nodiscard]] std::optional<std::size_t> closest_member(Level level) const;

  void note_asked(std::size_t member, Seconds now);
  void note_sampled(Level level, Slot slot, Seconds now) { clusters_[level - 1][slot].sampled = now; }
  void set_log2_size(Level level, Slot slot, float log2) { clusters_[level - 1][slot].log2_size = log2; }
  // Ours becomes a candidate, the candidate ours.
  void adopt(Level level, Slot candidate);
  // A new cluster of our own; the one that was ours becomes a candidate.
  void found(Level level, const ClusterId& id, Seconds now);
  // Forgets a candidate and does not listen to it before `until`.
  void refuse(Level level, Slot candidate, Seconds until);
  // Lets some of our sample go, so that others can be heard.
  void renew_sample(Level level, std::size_t members);

 private:
  struct Refused {
    std::uint64_t id = 0;
    Seconds until = kNever;
  };
  static constexpr std::size_t kRefusedMax = 32;

  std::size_t find_member(const NodeId& id) const;
  void note_description(Cluster& cluster, const ClusterDescription& said, Seconds now) const;
  Slot place(Seconds now, Level level, const ClusterDescription& said, const NodeId& id, std::uint32_t rtt_us,
             bool& news);
  Slot open_candidate(Seconds now, Level level, const ClusterDescription& said, bool near);
  [[nodiscard]] bool is_refused(Level level, const ClusterId& id, Seconds now) const;
  bool make_room(Level level, Slot slot, const NodeId& id);
  void add_member(const Member& member);
  void make_member_room();
  void set_slot(std::size_t member, Level level, Slot slot);
  void remove_member(std::size_t index);
  void drop_cluster(Level level, Slot slot);
  [[nodiscard]] bool is_idle(const Member& m) const { return m.slot[0] == kNone && m.slot[1] == kNone; }

  ClusterViewLimits limits_;
  NodeId self_;
  Random random_;
  std::array<std::uint32_t, 2> threshold_us_{};
  std::array<std::vector<Cluster>, 2> clusters_;
  std::array<std::array<Refused, kRefusedMax>, 2> refused_{};
  std::array<std::size_t, 2> refused_next_{};
  std::vector<std::uint8_t> tags_;  // the last byte of members_[i].contact.id: what is scanned
  std::vector<Member> members_;     // in no order
};

}  // namespace reef::dsht
