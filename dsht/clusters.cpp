#include "dsht/clusters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/crypto.h"

namespace reef::dsht {
namespace {

using std::chrono::duration_cast;
using WholeSeconds = std::chrono::duration<std::int32_t>;

// A lonely node looks at news this soon, and no sooner after its last decision.
constexpr Duration kLonelyDelay = std::chrono::seconds(2);
// Measurements and samples that were asked for are there after this; then the decision is looked at again,
// at most so often in a row.
constexpr Duration kFollowUp = std::chrono::seconds(5);
constexpr int kFollowUpsMax = 6;
constexpr ClusterView::Seconds kAskAgainAfter = 15;     // measurements
constexpr ClusterView::Seconds kSampleAgainAfter = 20;  // samples of one cluster
// Our own estimate counts after this time in a cluster: the tables fill only then.
constexpr ClusterView::Seconds kSettledAfter = 600;
constexpr int kBadDecisions = 2;
constexpr int kUneasyDecisions = 2;
constexpr int kSplitDecisions = 4;
// A sample of 16 from a cluster that just meets accept_share is below it every other time.
constexpr double kUneasyMargin = 0.05;
constexpr double kShareWeight = 0.4;  // of a decision's share against those before
constexpr std::size_t kRenewed = 2;   // members of our sample that are let go each period
constexpr int kReturnGrowthsMax = 4;  // each by 4
constexpr int kTimesForCause = 3;     // who left because it is too far shall not be back soon

ClusterId successor(const ClusterId& old, bool near) {
  static constexpr std::string_view kText = "reef split";
  std::array<std::byte, kText.size() + kIdBytes + 1> text{};
  std::memcpy(text.data(), kText.data(), kText.size());
  std::memcpy(text.data() + kText.size(), old.bytes.data(), kIdBytes);
  text.back() = near ? std::byte{0} : std::byte{1};
  const Sha256Digest digest = sha256(text);
  ClusterId id;
  std::memcpy(id.bytes.data(), digest.data(), kIdBytes);
  return id;
}

}  // namespace

const char* to_string(ClusterChanged::Why why) {
  switch (why) {
    case ClusterChanged::Why::preferred:
      return "preferred";
    case ClusterChanged::Why::not_acceptable:
      return "not_acceptable";
    case ClusterChanged::Why::split:
      return "split";
    case ClusterChanged::Why::founded:
      return "founded";
  }
  return "unknown";
}

Clusters::Clusters(const ClusterOptions& options, const NodeId& self, Random random, TimePoint now)
    : options_(options),
      self_(self),
      random_(random),
      start_(now),
      view_({options.threshold, options.sample_size, options.candidates_max, options.members_max,
             duration_cast<WholeSeconds>(options.forget_after).count()},
            self, Random(random_())) {
  for (Level level = 1; level < kLevels; ++level) {
    view_.found(level, random_.id<ClusterId>(), 0);
    start_anew(now, level);
  }
}

Clusters::Seconds Clusters::seconds(TimePoint t) const {
  return duration_cast<WholeSeconds>(t - start_).count();
}

void Clusters::start_anew(TimePoint now, Level level) {
  State& s = state(level);
  s.joined = seconds(now);
  s.interval = options_.first_decision;
  s.due = now + random_.between(s.interval / 2, s.interval);
  s.share_known = false;
  s.uneasy = s.bad = s.follow_ups = 0;
  s.size = 1;
  s.inherited_log2 = ours(level).log2_size;
}

// ---- what it is told

void Clusters::heard(TimePoint now, const Contact& contact, const std::array<ClusterDescription, 2>& clusters,
                     std::optional<Duration> rtt) {
  if (!view_.heard(seconds(now), contact, clusters, rtt)) return;
  for (Level level = 1; level < kLevels; ++level) hurry_if_alone(now, level);
}

void Clusters::hurry_if_alone(TimePoint now, Level level) {
  if (ours(level).members == 0) state(level).due = std::min(state(level).due, now + kLonelyDelay);
}

void Clusters::named(TimePoint now, Level level, const ClusterId& cluster, const Contact& contact) {
  if (view_.named(seconds(now), level, cluster, contact)) hurry_if_alone(now, level);
}

void Clusters::lost(const NodeId& id) { view_.lost(id); }

void Clusters::set_size(Level level, double nodes) { state(level).size = std::max(1.0, nodes); }

// ---- what it says

const ClusterId& Clusters::id(Level level) const { return ours(level).id; }

ClusterDescription Clusters::described(Level level, Seconds now) const {
  const State& s = state(level);
  double log2 = std::log2(s.size);
  if (now - s.joined < kSettledAfter) log2 = std::max<double>(log2, s.inherited_log2);
  ClusterDescription out = ours(level).description(now);
  out.log2_size = static_cast<std::uint8_t>(std::lround(std::min(log2, 160.0)));
  return out;
}

std::array<ClusterDescription, 2> Clusters::describe(TimePoint now) const {
  return {described(1, seconds(now)), described(2, seconds(now))};
}

bool Clusters::serves(TimePoint now, Level level, const ClusterId& cluster) const {
  if (level == 0) return true;
  if (cluster.is_zero() || level >= kLevels) return false;
  if (id(level) == cluster) return true;
  const auto& left = state(level).left;
  return std::any_of(left.begin(), left.end(), [&](const Left& l) {
    return l.id == cluster && start_ + WholeSeconds(l.at) + options_.serve_left > now;
  });
}

std::uint8_t Clusters::shared_with(const std::array<ClusterDescription, 2>& clusters) const {
  std::uint8_t out = 1;
  for (Level level = 1; level < kLevels; ++level) {
    if (clusters[level - 1].id == id(level)) out |= static_cast<std::uint8_t>(1u << level);
  }
  return out;
}

std::optional<double> Clusters::share_within(Level level) const {
  Tallies tallies{};
  view_.count(level, tallies);
  const auto& tally = tallies[ClusterView::kOurs];
  const int enough = std::min<int>(static_cast<int>(options_.sample_min), std::max(1, tally.known));
  if (tally.measured < enough) return std::nullopt;
  return tally.share();
}

std::uint64_t Clusters::switches(Level level) const { return state(level).switches; }

std::vector<Contact> Clusters::members(Level level) const {
  std::vector<Contact> out;
  for (const ClusterView::Member& member : view_.members()) {
    if (member.slot[level - 1] == ClusterView::kOurs) out.push_back(member.contact);
  }
  return out;
}

TimePoint Clusters::joined_at(Level level) const { return start_ + WholeSeconds(state(level).joined); }

double Clusters::hysteresis(std::chrono::seconds age) {
  return duration_cast<std::chrono::hours>(age).count() % 2 == 0 ? 0.0 : 2.0;
}

bool Clusters::prefers(const ClusterDescription& candidate, const ClusterDescription& current) {
  const int larger = int{candidate.log2_size} - int{current.log2_size};
  const double delta = hysteresis(std::chrono::seconds(std::min(candidate.age_seconds, current.age_seconds)));
  if (std::abs(larger) > delta) return larger > 0;
  return candidate.id < current.id;
}

// ---- time

TimePoint Clusters::next_deadline() const { return std::min(states_[0].due, states_[1].due); }

void Clusters::on_deadline(TimePoint now, std::vector<ClusterAction>& out) {
  if (now < next_deadline()) return;
  view_.tidy(seconds(now));
  for (Level level = 1; level < kLevels; ++level) {
    if (now >= state(level).due) decide(now, level, out);
  }
}

void Clusters::decide(TimePoint now, Level level, std::vector<ClusterAction>& out) {
  State& s = state(level);
  const Seconds at = seconds(now);
  const bool is_follow_up = s.follow_ups > 0;
  Tallies tallies{};
  view_.count(level, tallies);
  const Mood mood = judge(level, tallies);
  refuse_far_ones(level, at, mood, tallies);
  view_.count(level, tallies);

  if (const Slot best = best_candidate(level, at, mood, tallies); best != ClusterView::kNone) {
    const bool left_for_cause = mood == Mood::bad || mood == Mood::uneasy;
    join(now, level, best,
         left_for_cause ? ClusterChanged::Why::not_acceptable : ClusterChanged::Why::preferred, out);
    ask(now, level, Mood::unsure, out);
    return;
  }
  const bool is_apart =
      (mood == Mood::bad && s.bad >= kBadDecisions) ||
      (mood == Mood::uneasy && s.uneasy >= kSplitDecisions && s.share < options_.split_share);
  if (is_apart && part(now, level, out)) return;

  const bool is_waiting = ask(now, level, mood, out);
  if (is_waiting && s.follow_ups < kFollowUpsMax) {
    ++s.follow_ups;
    s.due = now + random_.between(kFollowUp * 3 / 4, kFollowUp * 5 / 4);
    return;
  }
  if (!is_follow_up && mood != Mood::alone && s.interval >= options_.decision_period) {
    view_.renew_sample(level, kRenewed);
  }
  s.follow_ups = 0;
  s.due = now + random_.between(s.interval * 3 / 4, s.interval * 5 / 4);
  s.interval = std::min(2 * s.interval, options_.decision_period);
}

// How many members must be measured to judge a cluster.
int Clusters::needed(const ClusterView::Cluster& cluster, int at_most) const {
  // The least size that rounds to this logarithm: of three nodes in a cluster that is called one of four, a
  // newcomer can measure three.
  const int log2 = std::clamp(static_cast<int>(cluster.log2_size), 0, 10);
  const int size = static_cast<int>(std::ceil(std::exp2(log2 - 0.5)));
  return std::clamp(size, 1, at_most);
}

bool Clusters::is_acceptable(const ClusterView::Cluster& cluster, const ClusterView::Tally& tally,
                             int at_most, double share) const {
  // Near members are measured first, because we talk to them most: while many are not, the share flatters.
  const int unmeasured = tally.known - tally.measured;
  return tally.measured >= needed(cluster, at_most) && unmeasured * 3 <= tally.measured &&
         tally.share() >= share;
}

Clusters::Mood Clusters::judge(Level level, const Tallies& tallies) {
  State& s = state(level);
  const ClusterView::Tally& tally = tallies[ClusterView::kOurs];
  if (tally.known == 0) return Mood::alone;
  const int enough = std::min<int>(static_cast<int>(options_.sample_min), tally.known);
  if (tally.measured < enough) return Mood::unsure;
  s.share = s.share_known ? s.share + kShareWeight * (tally.share() - s.share) : tally.share();
  s.share_known = true;
  if (s.share < options_.keep_share) {
    ++s.bad;
    ++s.uneasy;
    return Mood::bad;
  }
  s.bad = 0;
  if (s.share < options_.accept_share - kUneasyMargin) {
    ++s.uneasy;
    return Mood::uneasy;
  }
  s.uneasy = 0;
  return Mood::happy;
}

// Nothing but to leave is left.
bool Clusters::is_apart(Level level, Mood mood) const {
  const State& s = state(level);
  return (mood == Mood::bad && s.bad >= kBadDecisions) ||
         (mood == Mood::uneasy && s.uneasy >= kSplitDecisions && s.share < options_.split_share);
}

bool Clusters::is_barred(Level level, const ClusterId& id, Seconds now) const {
  for (const Left& left : state(level).left) {
    if (left.id != id) continue;
    const int doublings = 2 * std::min<int>(left.times - 1, kReturnGrowthsMax);
    return now - left.at < duration_cast<WholeSeconds>(options_.return_after).count() << doublings;
  }
  return false;
}

Clusters::Slot Clusters::best_candidate(Level level, Seconds now, Mood mood, const Tallies& tallies) const {
  const auto clusters = view_.clusters(level);
  const bool is_happy = mood == Mood::happy;
  const int enough = static_cast<int>(is_happy ? options_.sample_size : options_.sample_min);
  const double share = is_happy ? options_.prefer_share : options_.accept_share;
  Slot best = ClusterView::kNone;
  if (mood == Mood::unsure || (mood == Mood::uneasy && state(level).uneasy < kUneasyDecisions)) return best;
  const ClusterDescription current =
      mood == Mood::alone ? described(level, now) : ours(level).description(now);
  for (std::size_t i = 1; i < clusters.size(); ++i) {
    if (clusters[i].id.is_zero()) continue;
    const ClusterDescription candidate = clusters[i].description(now);
    if (!is_acceptable(clusters[i], tallies[i], enough, share)) continue;
    switch (mood) {
      case Mood::alone:
        // Of two who are alone one stays where it is.
        if (candidate.log2_size == 0 && tallies[i].known == 1 && !(candidate.id < current.id)) continue;
        break;
      case Mood::happy:
        if (candidate.log2_size < current.log2_size || !prefers(candidate, current)) continue;
        if (is_barred(level, candidate.id, now)) continue;
        break;
      case Mood::uneasy:
        if (!is_apart(level, mood) && is_barred(level, candidate.id, now)) continue;
        break;
      case Mood::bad:
      case Mood::unsure:
        break;
    }
    if (best == ClusterView::kNone || prefers(candidate, clusters[best].description(now))) {
      best = static_cast<Slot>(i);
    }
  }
  return best;
}

void Clusters::refuse_far_ones(Level level, Seconds now, Mood mood, const Tallies& tallies) {
  const bool is_happy = mood == Mood::happy;
  const std::size_t enough_members = is_happy ? options_.sample_size : 2 * options_.sample_min;
  const double share = is_happy ? options_.prefer_share : options_.accept_share;
  const auto clusters = view_.clusters(level);
  for (std::size_t i = 1; i < clusters.size(); ++i) {
    const auto& tally = tallies[i];
    if (clusters[i].id.is_zero() || tally.measured == 0) continue;
    const bool is_far = tally.within == 0 && tally.measured >= needed(clusters[i], 2);
    const int enough = needed(clusters[i], static_cast<int>(enough_members));
    const bool is_unacceptable = tally.measured >= enough && tally.share() < share;
    if (!is_far && !is_unacceptable) continue;
    view_.refuse(level, static_cast<Slot>(i), now + duration_cast<WholeSeconds>(options_.refuse_for).count());
  }
}

// Our cluster suits us no longer and no other does: we take the successor of our side. False: the centre is
// not measured yet.
bool Clusters::part(TimePoint now, Level level, std::vector<ClusterAction>& out) {
  const State& s = state(level);
  const ClusterId old = id(level);
  const auto centre = view_.closest_member(level);
  std::optional<bool> near;
  if (centre) {
    const auto& member = view_.members()[*centre];
    if (distance(self_, old) < distance(member.contact.id, old)) {
      near = true;
    } else if (member.rtt_us != ClusterView::kUnmeasured) {
      near = view_.is_within(member, level);
    } else if (s.bad + s.uneasy < 2 * kSplitDecisions) {
      return false;
    }
  }
  if (!near) {
    found(now, level, random_.id<ClusterId>(), ClusterChanged::Why::founded, out);
    return true;
  }
  const ClusterId next = successor(old, *near);
  if (const Slot known = view_.find(level, next); known != ClusterView::kNone) {
    join(now, level, known, ClusterChanged::Why::split, out);
  } else {
    found(now, level, next, ClusterChanged::Why::split, out);
  }
  return true;
}

void Clusters::join(TimePoint now, Level level, Slot candidate, ClusterChanged::Why why,
                    std::vector<ClusterAction>& out) {
  const ClusterId from = id(level);
  const bool was_alone = ours(level).members == 0;
  view_.adopt(level, candidate);
  if (!was_alone) note_left(level, from, seconds(now), why != ClusterChanged::Why::preferred);
  start_anew(now, level);
  ++state(level).switches;
  out.push_back(ClusterChanged{level, from, id(level), why});
}

void Clusters::found(TimePoint now, Level level, const ClusterId& id, ClusterChanged::Why why,
                     std::vector<ClusterAction>& out) {
  const ClusterId from = ours(level).id;
  note_left(level, from, seconds(now), true);
  view_.found(level, id, seconds(now));
  start_anew(now, level);
  ++state(level).switches;
  out.push_back(ClusterChanged{level, from, id, why});
}

void Clusters::note_left(Level level, const ClusterId& id, Seconds now, bool for_cause) {
  auto& left = state(level).left;
  auto place = std::find_if(left.begin(), left.end(), [&](const Left& l) { return l.id == id; });
  if (place == left.end()) {
    place = std::min_element(left.begin(), left.end(), [](const Left& a, const Left& b) {
      return std::pair(!a.id.is_zero(), a.at) < std::pair(!b.id.is_zero(), b.at);
    });
    *place = {id, now, 0};
  }
  place->at = now;
  place->times = static_cast<std::uint8_t>(std::min(place->times + (for_cause ? kTimesForCause : 1), 0xff));
}

// Asks for what the next decision needs. True if it is worth coming back for it soon.
bool Clusters::ask(TimePoint now, Level level, Mood mood, std::vector<ClusterAction>& out) {
  std::size_t budget = options_.measures_per_decision;
  const Seconds at = seconds(now);
  const auto clusters = view_.clusters(level);
  bool is_waiting = measure(now, level, ClusterView::kOurs, budget, out);
  if (mood != Mood::alone) sample(now, level, ClusterView::kOurs, out);
  const ClusterDescription current = ours(level).description(at);
  for (std::size_t i = 1; i < clusters.size(); ++i) {
    if (clusters[i].id.is_zero()) continue;
    const ClusterDescription candidate = clusters[i].description(at);
    const bool is_of_use =
        mood != Mood::happy || (candidate.log2_size >= current.log2_size && prefers(candidate, current) &&
                                !is_barred(level, candidate.id, at));
    if (!is_of_use) continue;
    const auto slot = static_cast<Slot>(i);
    is_waiting = measure(now, level, slot, budget, out) || is_waiting;
    is_waiting = sample(now, level, slot, out) || is_waiting;
  }
  return is_waiting;
}

bool Clusters::measure(TimePoint now, Level level, Slot slot, std::size_t& budget,
                       std::vector<ClusterAction>& out) {
  const Seconds at = seconds(now);
  const auto members = view_.members();
  const Seconds stale = duration_cast<WholeSeconds>(options_.forget_after).count() / 2;
  bool is_waiting = false;
  for (std::size_t i = 0; i < members.size() && budget > 0; ++i) {
    const auto& member = members[i];
    if (member.slot[level - 1] != slot) continue;
    const bool is_open = member.rtt_us == ClusterView::kUnmeasured || !member.said[level - 1];
    if (!is_open && at - member.heard < stale) continue;
    is_waiting = is_waiting || is_open;
    if (at - member.asked < kAskAgainAfter) continue;
    out.push_back(MeasureRtt{member.contact});
    view_.note_asked(i, at);
    --budget;
  }
  return is_waiting;
}

bool Clusters::sample(TimePoint now, Level level, Slot slot, std::vector<ClusterAction>& out) {
  const Seconds at = seconds(now);
  const auto& cluster = view_.clusters(level)[slot];
  const std::size_t others = std::size_t{1} << std::clamp(static_cast<int>(cluster.log2_size), 0, 10);
  if (cluster.members == 0 || cluster.members >= std::min(options_.sample_size, others)) return false;
  if (at - cluster.sampled < kSampleAgainAfter) return false;
  std::uint64_t pick = random_.below(cluster.members);
  for (const auto& member : view_.members()) {
    if (member.slot[level - 1] != slot || pick-- > 0) continue;
    out.push_back(AskMembers{level, cluster.id, member.contact});
    break;
  }
  view_.note_sampled(level, slot, at);
  return slot != ClusterView::kOurs;
}

}  // namespace reef::dsht
