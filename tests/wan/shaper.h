// One end of an access line: a rate and a bounded first-in-first-out queue before it, as in a DSL modem.
// Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace reef::wan {

struct Cap {
  std::uint64_t bits_per_s = 0;  // 0: no cap
  std::size_t queue_bytes = 64 * 1024;
  bool fair = false;  // flows by turns (see fair_queue.h) instead of first in, first out
};

// How long `bytes` take on a line of that rate; nothing without a cap.
[[nodiscard]] Duration time_on_line(const Cap& cap, std::size_t bytes);

class Shaper {
 public:
  // What already waits keeps its times.
  void set(const Cap& cap) { cap_ = cap; }
  [[nodiscard]] const Cap& cap() const { return cap_; }

  // When a packet that comes to the line at `now` has left it; nullopt: the queue was full, it is lost.
  // Without a cap: `now`. Calls must come in the order of time.
  [[nodiscard]] std::optional<TimePoint> pass(TimePoint now, std::size_t bytes);

 private:
  Cap cap_;
  TimePoint free_at_{};  // when the last admitted packet has left
};

}  // namespace reef::wan
