// The round-trip time of a path: the least of what was measured lately, since all that queues only adds.
#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "base/time.h"

namespace reef::probe {

// Windowed minimum with three samples (Kathleen Nichols' algorithm, as in Linux' lib/minmax.c and BBR):
// constant memory, exact for as long as the path is steady, and never older than the window while samples
// come. Pure.
class RttFilter {
 public:
  explicit RttFilter(Duration window = std::chrono::minutes(10)) : window_(window) {}

  // `now` never goes back. A negative sample counts as zero.
  void add(TimePoint now, Duration rtt);

  // nullopt: nothing was measured within the window.
  [[nodiscard]] std::optional<Duration> minimum(TimePoint now) const;

 private:
  struct Sample {
    TimePoint at;
    Duration rtt;
  };
  void restart(const Sample& sample) { best_.fill(sample); }

  Duration window_;
  bool empty_ = true;
  // The best, the best after it, and the best after that one; oldest first.
  std::array<Sample, 3> best_{};
};

}  // namespace reef::probe
