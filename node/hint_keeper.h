// Keeps the node's hints true: which ways to trace, when, and what names follow (dsht/hints.h).
//
// The first routers of the way to anybody are our own neighbourhood, whoever the target is; several targets,
// far ones by preference, show its several exits. Ways are traced as soon as there is somebody to trace to,
// and again every `period`, to others. A way that showed nothing (refused, over the prober's budget, no
// answer) is made up for by another, within limits.
//
// Decides only; the owner traces and puts. Not thread-safe, no I/O.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "dsht/contact.h"
#include "dsht/hints.h"
#include "probe/trace.h"

namespace reef::node {

struct HintKeeperOptions {
  bool enabled = true;  // false: never traces, and has no names
  Duration period = std::chrono::minutes(30);
  std::size_t traces = 3;  // each time
  dsht::HintOptions hints;
};

class HintKeeper {
 public:
  HintKeeper(const HintKeeperOptions& options, Random random);

  // Whom to trace now, mostly nobody; to be asked every second or so. `contacts`: those known, in any order.
  // For each, traced() is to be called with what came out.
  [[nodiscard]] std::vector<IpAddress> due(TimePoint now, std::span<const dsht::Neighbour> contacts);
  void traced(const probe::TraceResult& result);

  // The names, when they are others than at the last call; at first: when there are any. `own`: our public
  // addresses.
  [[nodiscard]] std::optional<std::vector<std::string>> changed_names(std::span<const IpAddress> own);
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // The least round trip to the first public router of a way: what our own line costs. nullopt: none is
  // known.
  [[nodiscard]] std::optional<Duration> last_mile() const;
  // Those of routers near us, beside them (dsht::near_names()); as they were at that call.
  [[nodiscard]] const std::vector<std::string>& near_names() const { return near_names_; }

 private:
  [[nodiscard]] std::optional<IpAddress> choose(std::span<const dsht::Neighbour> contacts);
  [[nodiscard]] bool was_traced(const IpAddress& address) const;

  const HintKeeperOptions options_;
  Random random_;
  TimePoint round_ends_{};
  std::size_t wanted_ = 0;         // usable traces that this round still lacks, those under way not counted
  std::size_t attempts_left_ = 0;  // of this round
  std::deque<IpAddress> targets_;  // the latest, of this and the last round
  std::deque<probe::TraceResult> results_;  // the latest usable ones: what counts
  std::vector<std::string> names_, near_names_;
};

}  // namespace reef::node
