// Which clusters a node is in. Decides; sends nothing (NSDI 2004, §4.2; IPTPS 2003, §3).
//
// A level-2 cluster is a set of nodes within 20 ms of each other, a level-1 cluster within 60 ms. Nobody
// administers them: a node founds one of its own and joins better ones that it hears of, in descriptions on
// every message and by asking those members that it heard of for more. All RTTs are our own measurements.
//
// A cluster is *acceptable* if at least `accept_share` of a sample of its members are within the level's
// threshold. Among acceptable ones a node prefers the larger, if the binary logarithms of their sizes differ
// by more than Δ, else the one with the lower id. Δ is a square wave over the age of the younger of the two:
// 0 in even hours, 2 in odd ones, so that clusters of about the same size merge (ids decide for all alike)
// and yet do not flap. A node whose own cluster is no longer acceptable to it (less than `keep_share`) leaves
// it for the best acceptable one, else founds a new one; a cluster that has become two (its parts moved
// apart) splits around its centre: those near the member closest to the cluster id take one successor id, the
// others another, both derived from the old one, so that each side stays together.
//
// Who leaves a cluster keeps serving it for `serve_left`.
//
// Where this differs from the paper, and why (tests/dsht/clusters_model_test.cpp is a model of it):
//  - A node that is alone joins the first acceptable cluster within seconds of hearing of it.
//  - A node that is content (its smoothed share is not clearly below accept_share) moves only to a cluster
//    that is not smaller and of which a whole sample is within the threshold to `prefer_share`. With a quick
//    look at eight members every fifth try lets a cluster pass that is only two thirds near, and the node
//    left it again soon after: up to 1.5 switches per node, level and day with 600 nodes in the model, now up
//    to 0.32.
//  - A node whose share lies between keep_share and accept_share for two decisions moves to any acceptable
//    cluster, whatever its size; below `split_share` for four decisions it splits off. The paper keeps it
//    there.
//  - What it left, a node does not prefer again for return_after, then four times as long: so an oscillation
//    that the rules do not see dies out within hours. (Doubling was too slow: whoever is between two
//    clusters, the larger of which has the higher id, goes over with each half period of Δ.)
//  - Sizes are compared as the members of both clusters tell them, our own estimate being one of many: the
//    table of a cluster just joined is still empty.
//  - Splits: the paper's node founds a cluster of its own, and the sides find together again one by one.
//
// Memory: 72 bytes for each of members_max and 56 a cluster, at most 12 KB. heard() allocates nothing for
// known members.
#pragma once

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/random.h"
#include "base/time.h"
#include "dsht/cluster_view.h"
#include "dsht/contact.h"
#include "dsht/messages.h"

namespace reef::dsht {

struct ClusterOptions {
  std::array<Duration, kLevels> threshold = {Duration::max(), std::chrono::milliseconds(60),
                                             std::chrono::milliseconds(20)};
  double accept_share = 0.8;
  // What a node that is content where it is asks of a cluster that it prefers, and of a whole sample.
  double prefer_share = 0.9;
  double keep_share = 0.5;
  std::size_t sample_size = 16;   // members remembered per cluster
  std::size_t members_max = 128;  // remembered of all clusters of both levels
  // Fewer measured members than this (or than the cluster has) say nothing about it.
  std::size_t sample_min = 4;
  std::size_t candidates_max = 8;  // clusters remembered per level; the least promising gives way
  // Decisions come often at first (first_decision, doubling), then once a period.
  Duration first_decision = std::chrono::seconds(5);
  Duration decision_period = std::chrono::minutes(5);
  Duration forget_after = std::chrono::minutes(30);  // a candidate or a member that was not heard of
  Duration serve_left = std::chrono::minutes(30);
  // A cluster that we left is not preferred again to one that suits us before this time, four times as long
  // with every time that we left it; 16 times as long at once if it was too far.
  Duration return_after = std::chrono::minutes(30);
  // Below this share a node that finds nothing acceptable in its patience splits off.
  double split_share = 0.7;
  // How long a cluster that was measured and found too far is not looked at again.
  Duration refuse_for = std::chrono::minutes(15);
  std::size_t measures_per_decision = 16;  // pings asked for, per level
};

// What the owner is to do. Its results come back through heard().
struct AskMembers {  // SAMPLE to `via` for members of `cluster`
  Level level = 0;
  ClusterId cluster;
  Contact via;
};
struct MeasureRtt {  // PING
  Contact contact;
};
struct ClusterChanged {
  Level level = 0;
  ClusterId from;
  ClusterId to;
  enum class Why : std::uint8_t { preferred, not_acceptable, split, founded } why{};
};
using ClusterAction = std::variant<AskMembers, MeasureRtt, ClusterChanged>;
[[nodiscard]] const char* to_string(ClusterChanged::Why why);

class Clusters {
 public:
  // Founds a cluster of its own at both levels.
  Clusters(const ClusterOptions& options, const NodeId& self, Random random, TimePoint now);

  // ---- what it is told
  // `contact` says that it is in these clusters (levels 1 and 2). `rtt`: the least that we measured to it
  // lately, nullopt if we did not.
  void heard(TimePoint now, const Contact& contact, const std::array<ClusterDescription, 2>& clusters,
             std::optional<Duration> rtt);
  // Named as a member of that cluster by somebody else: worth measuring, no more.
  void named(TimePoint now, Level level, const ClusterId& cluster, const Contact& contact);
  // It does not answer.
  void lost(const NodeId& id);
  // About how many nodes our cluster of that level has, ourselves among them.
  void set_size(Level level, double nodes);

  // ---- time
  [[nodiscard]] TimePoint next_deadline() const;
  void on_deadline(TimePoint now, std::vector<ClusterAction>& out);  // appends

  // ---- what it says
  [[nodiscard]] const ClusterId& id(Level level) const;  // 1 or 2
  // For the header of a message: id, size and age of our clusters.
  [[nodiscard]] std::array<ClusterDescription, 2> describe(TimePoint now) const;
  // Ours at that level, or one that we left lately.
  [[nodiscard]] bool serves(TimePoint now, Level level, const ClusterId& cluster) const;
  // The levels at which a node with these clusters shares ours; level 0 always.
  [[nodiscard]] std::uint8_t shared_with(const std::array<ClusterDescription, 2>& clusters) const;
  // Share of the members sampled that are within the threshold; nullopt while too few are measured.
  [[nodiscard]] std::optional<double> share_within(Level level) const;
  [[nodiscard]] std::uint64_t switches(Level level) const;        // so far
  [[nodiscard]] TimePoint joined_at(Level level) const;           // our present cluster
  [[nodiscard]] std::vector<Contact> members(Level level) const;  // of it, as far as sampled

  // A larger cluster, or at about the same size the one with the lower id; `age`: of the younger one.
  [[nodiscard]] static bool prefers(const ClusterDescription& candidate, const ClusterDescription& current);
  // Δ for an age.
  [[nodiscard]] static double hysteresis(std::chrono::seconds age);

 private:
  using Seconds = ClusterView::Seconds;
  using Slot = ClusterView::Slot;
  using Tallies = std::array<ClusterView::Tally, ClusterView::kCandidatesMax + 1>;

  struct Left {
    ClusterId id;
    Seconds at = 0;
    std::uint8_t times = 0;  // that we left it
  };
  struct State {
    TimePoint due;
    Duration interval{};
    Seconds joined = 0;
    double size = 1;           // our own estimate
    float inherited_log2 = 0;  // what was said of the cluster when we joined it
    double share = 1;          // smoothed over decisions
    bool share_known = false;
    int uneasy = 0;  // decisions in a row
    int bad = 0;
    int follow_ups = 0;  // in a row
    std::uint64_t switches = 0;
    std::array<Left, 8> left{};  // a free place has no id
  };
  enum class Mood : std::uint8_t { alone, unsure, happy, uneasy, bad };

  [[nodiscard]] Seconds seconds(TimePoint t) const;
  State& state(Level level) { return states_[level - 1]; }
  [[nodiscard]] const State& state(Level level) const { return states_[level - 1]; }
  [[nodiscard]] const ClusterView::Cluster& ours(Level level) const {
    return view_.clusters(level)[ClusterView::kOurs];
  }
  [[nodiscard]] ClusterDescription described(Level level, Seconds now) const;
  [[nodiscard]] int needed(const ClusterView::Cluster& cluster, int at_most) const;
  [[nodiscard]] bool is_acceptable(const ClusterView::Cluster& cluster, const ClusterView::Tally& tally,
                                   int at_most, double share) const;
  [[nodiscard]] bool is_apart(Level level, Mood mood) const;
  [[nodiscard]] bool is_barred(Level level, const ClusterId& id, Seconds now) const;

  void hurry_if_alone(TimePoint now, Level level);
  void decide(TimePoint now, Level level, std::vector<ClusterAction>& out);
  Mood judge(Level level, const Tallies& tallies);
  [[nodiscard]] Slot best_candidate(Level level, Seconds now, Mood mood, const Tallies& tallies) const;
  void refuse_far_ones(Level level, Seconds now, Mood mood, const Tallies& tallies);
  bool part(TimePoint now, Level level, std::vector<ClusterAction>& out);
  void join(TimePoint now, Level level, Slot candidate, ClusterChanged::Why why,
            std::vector<ClusterAction>& out);
  void found(TimePoint now, Level level, const ClusterId& id, ClusterChanged::Why why,
             std::vector<ClusterAction>& out);
  void note_left(Level level, const ClusterId& id, Seconds now, bool for_cause);
  void start_anew(TimePoint now, Level level);
  bool ask(TimePoint now, Level level, Mood mood, std::vector<ClusterAction>& out);
  bool measure(TimePoint now, Level level, Slot slot, std::size_t& budget, std::vector<ClusterAction>& out);
  bool sample(TimePoint now, Level level, Slot slot, std::vector<ClusterAction>& out);

  ClusterOptions options_;
  NodeId self_;
  Random random_;
  TimePoint start_;
  ClusterView view_;
  std::array<State, 2> states_;
};

}  // namespace reef::dsht
